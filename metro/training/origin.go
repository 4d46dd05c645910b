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
		if err := o.first.start(weights(p.store, p.model), p.model.Config, wholeModel); err != nil {
			return usererr.New("training.init_from: %w", err)
		}
	}
	if o.frozen != nil {
		generator := sorted(p.store, isGenerator)
		if err := o.frozen.start(generator, p.model.Config, generatorAlone); err != nil {
			return usererr.New("replacements.checkpoint: %w", err)
		}
	}
	return nil
}

// start sets variables from p. Heads that p has no weights for keep their first values; everything else must be there.
func (p Pretrained) start(variables []*model.Variable, c metro.Config, part part) error {
	file, err := p.open(c, part)
	if err != nil {
		return usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	if _, ok := file.Lookup(generatorBias); !ok && slices.ContainsFunc(variables, isGenerator) {
		return p.withoutGenerator(part)
	}
	takes := func(tensor string) bool {
		_, there := file.Lookup(tensor)
		return there && slices.ContainsFunc(variables, func(v *model.Variable) bool { return tensorName(v) == tensor })
	}
	if err := p.agrees(c, part, takes); err != nil {
		return err
	}
	values := make([]*tensors.Tensor, len(variables))
	var missing []string
	for i, v := range variables {
		name, ok := find(file, tensorName(v))
		switch {
		case ok:
			if values[i], err = readRows(file, name, v); err != nil {
				return usererr.New("%s: %w; change the config so that the shapes agree", p.Dir, err)
			}
		case !startsAnew(tensorName(v)):
			missing = append(missing, tensorName(v))
		}
	}
	if len(missing) > 0 {
		return usererr.New("%s lacks %d weights that the config asks for: %s, …", p.Dir, len(missing), strings.Join(missing[:min(3, len(missing))], ", "))
	}
	for i, v := range variables {
		if values[i] == nil {
			continue
		}
		if err := v.SetValue(values[i]); err != nil {
			return fmt.Errorf("set %s: %w", v.Path(), err)
		}
	}
	return nil
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

// Tensors that every trained generator and every trained detector has.
const (
	generatorBias = "generator.head.output_bias"
	rtdWeights    = "main.rtd.output.weights"
)

func isGenerator(v *model.Variable) bool { return strings.HasPrefix(v.Path(), "/generator/") }

// startsAnew tells the weights that a trained model may lack: heads, and differences of tables, which begin at 0.
func startsAnew(tensor string) bool {
	room, rest, _ := strings.Cut(tensor, ".")
	part, _, _ := strings.Cut(rest, ".")
	return room == "main" && (!isBody(part) || strings.HasSuffix(part, "_difference"))
}

// find returns the tensor that a variable's first value is under: its own name or, where the two models share less or
// more than those in the file did, that of the weights which had its part there.
func find(file weightFile, name string) (string, bool) {
	room, rest, _ := strings.Cut(name, ".")
	for _, candidate := range []string{name, "shared." + rest, "main." + rest} {
		if room == "main" && strings.HasPrefix(candidate, "shared.") && !strings.HasPrefix(rest, "embedding_norm") {
			continue
		}
		if candidate == "main."+rest && room == "generator" && strings.HasPrefix(rest, "head.") {
			continue
		}
		if _, ok := file.Lookup(candidate); ok {
			return candidate, true
		}
	}
	return "", false
}

// readRows reads a tensor for v, which may have fewer rows than the file if it is a position table.
func readRows(file weightFile, name string, v *model.Variable) (*tensors.Tensor, error) {
	info, _ := file.Lookup(name)
	want := v.Shape().Dimensions
	if !strings.HasSuffix(name, "position_embedding") || len(info.Shape) != 2 || info.Shape[0] <= want[0] || info.Shape[1] != want[1] {
		return readTensor(file, name, v)
	}
	all := make([]byte, byteSize(info))
	if err := file.Read(name, all); err != nil {
		return nil, err
	}
	value := tensors.FromShape(v.Shape())
	return value, value.MutableBytes(func(b []byte) { copy(b, all) })
}
