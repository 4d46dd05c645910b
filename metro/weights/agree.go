// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Agree compares a model of config c with the model of src, in all that decides what the weights of wanted, c's, compute.
// Most of it the tensors' shapes would not show: heads, activations, layers that would be left out, tables that sharing
// would drop. Parts that src has no weights of wanted for are not compared. What differs is the user's error, in one
// sentence.
func Agree(src Source, c metro.Config, wanted metro.Inventory) error {
	there := src.Model().Config
	held := Held(src, wanted)
	hasGenerator := len(held.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)) > 0
	var d disagreements
	d.compare("embeddings.width", there.EmbeddingWidth(), c.EmbeddingWidth())
	d.compare("embeddings.token_types", there.Embeddings.TokenTypes, c.Embeddings.TokenTypes)
	d.compare("embeddings.output_scale", there.Embeddings.OutputScale, c.Embeddings.OutputScale)
	d.compare("embeddings.kind", there.Embeddings.Kind, c.Embeddings.Kind)
	d.compare("embeddings.options", there.Embeddings.Options, c.Embeddings.Options)
	d.positions(there, c)
	if slices.ContainsFunc(held, func(w metro.Weight) bool { return w.ByMain }) {
		d.encoder("main", there.Main, c.Main)
		if !keepsTables(there.Sharing, c.Sharing, hasGenerator) {
			d.compare("sharing", there.Sharing, c.Sharing)
		}
	}
	if hasGenerator {
		d.encoder("generator", there.Generator, c.Generator)
		d.compare("objective.generator_head", there.Objective.GeneratorHead, c.Objective.GeneratorHead)
	}
	if len(held.HeadOf(metro.OwnerMain, metro.HeadRTD)) > 0 {
		d.compare("objective.rtd_head", there.Objective.RTDHead, c.Objective.RTDHead)
	}
	if len(d) > 0 {
		return usererr.New("%s holds another model than the config asks for: %s", src, strings.Join(d, "; "))
	}
	return nil
}

type disagreements []string

func (d *disagreements) compare(path string, there, here any) {
	if there != here {
		*d = append(*d, fmt.Sprintf("%s is %v there and %v in the config", path, there, here))
	}
}

func (d *disagreements) positions(there, here metro.Config) {
	a, b := there.Positions, here.Positions
	d.compare("positions.absolute", a.Absolute, b.Absolute)
	if b.Absolute && here.PositionRows() > there.PositionRows() { // a shorter table is the longer one's beginning
		d.compare("positions.rows", there.PositionRows(), here.PositionRows())
	}
	d.compare("positions.relative", a.Relative, b.Relative)
	if b.Relative != metro.RelativeNone {
		d.compare("positions.relative_options", a.RelativeOptions, b.RelativeOptions)
		d.compare("positions.per_layer", a.PerLayer, b.PerLayer)
		d.compare("positions.bins", a.Bins, b.Bins)
		d.compare("positions.max_distance", a.MaxDistance, b.MaxDistance)
		d.compare("positions.scale", a.Scale, b.Scale)
	}
}

func (d *disagreements) encoder(path string, there, here metro.Encoder) {
	wanted := here.Computes(path)
	for i, setting := range there.Computes(path) {
		d.compare(setting.Path, setting.Value, wanted[i].Value)
	}
}

// keepsTables reports whether models that share as to says can have the tables of models that shared as from says: each
// model those that it had.
func keepsTables(from, to string, hasGenerator bool) bool {
	if from == to {
		return true
	}
	if from == metro.SharingGDES {
		return false // the main model's tables are sums, which nobody wrote down
	}
	shared := map[string]int{
		metro.SharingNone: 0, metro.SharingToken: 1, metro.SharingTokenPosition: 2, metro.SharingGDES: 2, metro.SharingTokenPositionNorm: 3, metro.SharingAll: 4,
	}
	return !hasGenerator || shared[to] <= shared[from]
}
