// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// difference is a setting under which two models have not the same tensors, or compute something else with them.
type difference struct {
	path      string
	want, got any
}

func (d difference) String() string { return fmt.Sprintf("%s %v and %v", d.path, d.want, d.got) }

// Shape returns c with everything that the folder decides: the fields of [Folder.Config] that describe the models that are
// there. Rows of tokens may be shorter than the folder's position table, which stays whole; dropout and the way of
// drawing first weights stay as they are.
func (f *Folder) Shape(c metro.Config) metro.Config {
	rows := f.Config.Data.SeqLen
	c.Data.VocabSize = f.Config.Data.VocabSize
	c.Embeddings, c.Positions = f.Config.Embeddings, f.Config.Positions
	switch {
	case c.Data.SeqLen == 0 || c.Positions.Absolute && c.Data.SeqLen > rows:
		c.Data.SeqLen = rows
	case c.Positions.Absolute && c.Data.SeqLen < rows:
		c.Positions.Rows = rows
	}
	shape := func(into *metro.Encoder, from metro.Encoder) {
		if into.Init != "" {
			from.Dropout, from.Init, from.InitScale = into.Dropout, into.Init, into.InitScale
		}
		*into = from
	}
	if f.main != nil {
		shape(&c.Main, f.Config.Main)
		c.Objective.RTDHead = f.Config.Objective.RTDHead
	}
	if f.generator != nil {
		shape(&c.Generator, f.Config.Generator)
		c.Objective.GeneratorHead = f.Config.Objective.GeneratorHead
	}
	if f.main != nil && f.generator != nil {
		c.Sharing = f.Config.Sharing
	}
	return c
}

// fits compares c with the folder's models, as far as parts need it.
func (f *Folder) fits(c metro.Config, parts []*part) error {
	here := f.Config
	all := []difference{
		{"embeddings.width", here.EmbeddingWidth(), c.EmbeddingWidth()},
		{"embeddings.token_types", here.Embeddings.TokenTypes, c.Embeddings.TokenTypes},
		{"embeddings.kind", here.Embeddings.Kind, c.Embeddings.Kind},
		{"positions.absolute", here.Positions.Absolute, c.Positions.Absolute},
		{"positions.relative", here.Positions.Relative, c.Positions.Relative},
	}
	if here.Positions.Relative != metro.RelativeNone {
		all = append(all, difference{"positions", positionShape(here.Positions), positionShape(c.Positions)})
	}
	for _, p := range parts {
		if p.role == mainRole {
			all = append(all, encoderDifferences("main", here.Main, c.Main)...)
		} else {
			all = append(all, encoderDifferences("generator", here.Generator, c.Generator)...)
			all = append(all, difference{"objective.generator_head", here.Objective.GeneratorHead, c.Objective.GeneratorHead})
		}
		if slices.Contains(p.heads, "rtd") {
			all = append(all, difference{"objective.rtd_head", here.Objective.RTDHead, c.Objective.RTDHead})
		}
	}
	var problems []string
	for _, d := range all {
		if d.want != d.got {
			problems = append(problems, fmt.Sprintf("%s is %v there and %v in the config", d.path, d.want, d.got))
		}
	}
	if rows := c.PositionRows(); c.Positions.Absolute && rows > here.Data.SeqLen {
		problems = append(problems, fmt.Sprintf("it has %d positions and the config asks for %d", here.Data.SeqLen, rows))
	}
	if len(parts) == 2 && sharingRank(c.Sharing) > sharingRank(here.Sharing) {
		problems = append(problems, fmt.Sprintf("its two models share %q and the config %q", here.Sharing, c.Sharing))
	}
	if len(problems) > 0 {
		return usererr.New("the weights in %s do not fit: %s", f.Dir, strings.Join(problems, "; "))
	}
	return nil
}

func encoderDifferences(path string, here, c metro.Encoder) (list []difference) {
	wanted := c.Computes(path)
	for i, setting := range here.Computes(path) {
		list = append(list, difference{setting.Path, setting.Value, wanted[i].Value})
	}
	return list
}

// sharingRank orders the ways of sharing by what must be equal. GDES starts from equal token and position tables.
func sharingRank(sharing string) int {
	return slices.Index([]string{
		metro.SharingNone, metro.SharingToken, metro.SharingTokenPosition, metro.SharingTokenPositionNorm, metro.SharingAll,
	}, strings.Replace(sharing, metro.SharingGDES, metro.SharingTokenPosition, 1))
}
