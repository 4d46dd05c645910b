// SPDX-License-Identifier: Apache-2.0

package training

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/tokens"
)

// origins are the trained models that a config takes weights from.
type origins struct {
	first  *Pretrained // training.init_from
	frozen *Pretrained // replacements.checkpoint
}

// loadOrigins looks at the folders that c names. Models that read text with different tokenizers cannot be put together.
func loadOrigins(c metro.Config) (o origins, err error) {
	load := func(path, dir string) (*Pretrained, error) {
		if dir == "" {
			return nil, nil
		}
		p, err := LoadPretrained(dir)
		if err != nil {
			return nil, usererr.New("%s: %w", path, err)
		}
		return &p, nil
	}
	if o.first, err = load("training.init_from", c.Training.InitFrom); err != nil {
		return o, err
	}
	if o.frozen, err = load("replacements.checkpoint", c.Replacements.Checkpoint); err != nil {
		return o, err
	}
	if o.first != nil && o.frozen != nil && o.first.Tokenizer.Hash() != o.frozen.Tokenizer.Hash() {
		return o, usererr.New("training.init_from %s and replacements.checkpoint %s have different tokenizers; both models must read the same tokens",
			o.first.Dir, o.frozen.Dir)
	}
	return o, nil
}

// tokenizer returns the one that came with the weights, or nil.
func (o origins) tokenizer() tokens.Tokenizer {
	for _, p := range []*Pretrained{o.first, o.frozen} {
		if p != nil {
			return p.Tokenizer
		}
	}
	return nil
}

// vocab returns the size of the tables that the weights come in, which may be larger than the tokenizer; 0 if there are none.
func (o origins) vocab() int {
	for _, p := range []*Pretrained{o.first, o.frozen} {
		if p != nil {
			return p.Model.Vocab
		}
	}
	return 0
}

// hashes names the weights by their content, for a run's identity.
func (o origins) hashes() (map[string]string, error) {
	var hashes map[string]string
	for path, p := range map[string]*Pretrained{"training.init_from": o.first, "replacements.checkpoint": o.frozen} {
		if p == nil {
			continue
		}
		hash, err := p.Hash()
		if err != nil {
			return nil, err
		}
		if hashes == nil {
			hashes = map[string]string{}
		}
		hashes[path] = hash
	}
	return hashes, nil
}

// Hash is of the names, shapes and values of all weights: models with equal hashes are equal, wherever they lie.
func (p Pretrained) Hash() (string, error) {
	if p.open == nil {
		return "", errNoWeights
	}
	file, err := p.open(p.Model.Config, wholeModel)
	if err != nil {
		return "", usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	sum := sha256.New()
	for _, info := range file.Tensors() {
		if isMoment(info.Name) {
			continue
		}
		fmt.Fprintln(sum, info.Name, info.DType, info.Shape)
		value := make([]byte, byteSize(info))
		if err := file.Read(info.Name, value); err != nil {
			return "", usererr.New("%s: %w", p.Dir, err)
		}
		sum.Write(value)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func byteSize(info safetensors.Info) int {
	n := map[string]int{"F32": 4, "F64": 8}[info.DType]
	for _, d := range info.Shape {
		n *= d
	}
	return n
}

// apply puts the weights of the origins over the first values that a program has drawn.
func (o origins) apply(p *Program) error {
	if o.first != nil {
		if err := o.first.start(p.store, p.weights.Learning(), p.model.Config, wholeModel); err != nil {
			return usererr.New("training.init_from: %w", err)
		}
	}
	if o.frozen != nil {
		generator := p.weights.Of(metro.OwnerGenerator)
		if err := o.frozen.start(p.store, generator, p.model.Config, generatorAlone); err != nil {
			return usererr.New("replacements.checkpoint: %w", err)
		}
	}
	return nil
}

// start sets the variables of weights in store from p. Heads that p has no weights for keep their first values, as do
// differences of tables; everything else must be there.
func (p Pretrained) start(store *model.Store, weights metro.Inventory, c metro.Config, part part) error {
	file, err := p.open(c, part)
	if err != nil {
		return usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	there := newCounterparts(file, p.described(c))
	takes := func(owner metro.Owner, head string) bool {
		return slices.ContainsFunc(weights.HeadOf(owner, head), func(w metro.Weight) bool {
			_, ok := there.of(w)
			return ok
		})
	}
	wanted := weights.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)
	hasGenerator := takes(metro.OwnerGenerator, metro.HeadGenerator)
	if len(wanted) > 0 && !hasGenerator {
		return p.withoutGenerator(part)
	}
	if err := p.agrees(c, part, hasGenerator, takes(metro.OwnerMain, metro.HeadRTD)); err != nil {
		return err
	}
	values := make([]*tensors.Tensor, len(weights))
	var missing []string
	for i, w := range weights {
		name, ok := there.of(w)
		switch {
		case ok:
			if values[i], err = readRows(file, name, w, store.GetVariable(w.Path())); err != nil {
				return usererr.New("%s: %w; change the config so that the shapes agree", p.Dir, err)
			}
		case w.Owner == metro.OwnerGenerator || w.Head == "" && !w.Difference:
			missing = append(missing, w.Tensor())
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return usererr.New("%s lacks %d weights that the config asks for: %s, …", p.Dir, len(missing), strings.Join(missing[:min(3, len(missing))], ", "))
	}
	for i, w := range weights {
		if values[i] == nil {
			continue
		}
		if err := store.GetVariable(w.Path()).SetValue(values[i]); err != nil {
			return fmt.Errorf("set %s: %w", w.Path(), err)
		}
	}
	return nil
}

// counterparts finds a model's weights among those of a trained one, whose two models may share less or more.
type counterparts struct {
	file   weightFile
	places map[metro.Owner]map[metro.Place]metro.Weight // of the trained models
}

func newCounterparts(file weightFile, described metro.Inventory) counterparts {
	c := counterparts{file, map[metro.Owner]map[metro.Place]metro.Weight{}}
	for _, reader := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		c.places[reader] = described.Of(reader).ByPlace()
	}
	return c
}

// of names the tensor that has w's part in the trained model. A head that no config describes has one name everywhere.
func (c counterparts) of(w metro.Weight) (tensor string, ok bool) {
	reader := metro.OwnerMain
	if !w.ByMain {
		reader = metro.OwnerGenerator
	}
	tensor = w.Tensor()
	if there, ok := c.places[reader][w.Place]; ok {
		tensor = there.Tensor()
	}
	_, ok = c.file.Lookup(tensor)
	return tensor, ok
}

// withoutGenerator is the error for a folder that has none.
func (p Pretrained) withoutGenerator(part part) error {
	if part == generatorAlone {
		return usererr.New("%s has no generator; name the folder of a run that trained one", p.Dir)
	}
	return usererr.New("%s has no generator. %s", p.Dir, mainAlone)
}

// mainAlone explains why a main model alone is no start.
const mainAlone = "A main model that learned to detect a trained generator's samples meets noise when its generator starts anew, " +
	"and at a pretraining learning rate unlearns what it knew before that generator is any good: " +
	"continue from the pair, or keep a trained generator (replacements.source=frozen with replacements.checkpoint), " +
	"or change the objective to one without a generator (objective.name=mlm, or replacements.source=unigram)"

// readRows reads a tensor as a value for w's variable v, which may have fewer rows than the file if it is a position table.
func readRows(file weightFile, name string, w metro.Weight, v *model.Variable) (*tensors.Tensor, error) {
	info, _ := file.Lookup(name)
	if w.Part != metro.PositionTable || len(info.Shape) != 2 || info.Shape[0] <= w.Shape[0] || info.Shape[1] != w.Shape[1] {
		return readTensor(file, name, v)
	}
	all := make([]byte, byteSize(info))
	if err := file.Read(name, all); err != nil {
		return nil, err
	}
	value := tensors.FromShape(v.Shape())
	return value, value.MutableBytes(func(b []byte) { copy(b, all) })
}
