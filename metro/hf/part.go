// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
)

// The files of a folder that hold a model.
const (
	settingsFile = "config.json"
	weightsFile  = "model.safetensors"
)

// part is one folder with one model.
type part struct {
	dir      string
	settings settings
	role     role
	outer    string   // what stands before all names, "" as a rule: "module." where a model was wrapped
	prefix   string   // of the encoder's tensors
	heads    []string // that are there, of those in heads
	unread   []string // tensors that belong to none of them
	file     *contents
}

// openPart reads config.json and the header of model.safetensors, and compares them.
func openPart(dir string) (_ *part, err error) {
	p := &part{dir: dir}
	if p.settings, err = readSettings(filepath.Join(dir, settingsFile)); err != nil {
		return nil, err
	}
	file, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			err = usererr.New("model %s: %w", dir, err)
		}
	}()
	if p.file, err = newContents(file, p.settings.products()); err != nil {
		return nil, err
	}
	if err = p.findPrefix(); err != nil {
		return nil, err
	}
	p.findRole()
	heads := headsOf(p.config())
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		if _, ok := p.lookup(heads[name].theirs); ok && heads[name].role == p.role {
			p.heads = append(p.heads, name)
		}
	}
	if err = p.compare(); err != nil {
		return nil, err
	}
	if err = p.checkTied(); err != nil {
		return nil, err
	}
	return p, nil
}

func openWeights(dir string) (*safetensors.File, error) {
	path := filepath.Join(dir, weightsFile)
	file, err := safetensors.Open(path)
	if err == nil {
		return file, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, usererr.New("%w", err)
	}
	for name, way := range map[string]string{
		"pytorch_model.bin":            "load it in transformers and save_pretrained it anew, which writes " + weightsFile,
		weightsFile + ".index.json":    "its weights are split; save_pretrained it anew with a larger max_shard_size",
		"pytorch_model.bin.index.json": "load it in transformers and save_pretrained it anew, which writes " + weightsFile,
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil, usererr.New("%s holds %s and no %s: %s", dir, name, weightsFile, way)
		}
	}
	return nil, usererr.New("no weights: %w", err)
}

// spelled is the name that a tensor has in folders of the part's type: BERT's masked language modelling head has its own.
func (p *part) spelled(name string) string {
	if p.settings.ModelType == bertType {
		name = bertNames.Replace(name)
	}
	if p.outer != "" && !strings.HasPrefix(name, p.prefix) {
		name = p.outer + name
	}
	return name
}

// lookup finds a tensor under its name, or under one that stands for it: in BERT's first years, from which folders are still
// published, a norm's gain was called gamma, and its offset beta; and some have the bias of BERT's output under its second name.
func (p *part) lookup(name string) (safetensors.Info, bool) {
	name = p.spelled(name)
	if info, ok := p.file.Lookup(name); ok {
		return info, true
	}
	for now, then := range map[string]string{"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta", outputBias: outputBiasAgain} {
		if parent, ok := strings.CutSuffix(name, now); ok {
			return p.file.Lookup(parent + then)
		}
	}
	return safetensors.Info{}, false
}

// floats reads a tensor, which must be there, under either name.
func (p *part) floats(name string) (floats, error) {
	if info, ok := p.lookup(name); ok {
		name = info.Name
	}
	return p.file.Floats(name)
}

// findPrefix sets what stands before the encoder's names, which is what stands before its token table: the model's type, as a
// rule, or nothing, as a model that is nothing but an encoder is often written, or either of them behind that of a model
// around it.
func (p *part) findPrefix() error {
	const table = "embeddings.word_embeddings.weight"
	var found []string
	for _, t := range p.file.Tensors() {
		if prefix, ok := strings.CutSuffix(t.Name, table); ok && (prefix == "" || strings.HasSuffix(prefix, ".")) {
			found = append(found, prefix)
		}
	}
	prefix := p.settings.ModelType + "."
	switch {
	case len(found) > 1:
		return fmt.Errorf("%s holds %d models, with the tables %s%s and %s%s; write each into a folder of its own",
			weightsFile, len(found), found[0], table, found[1], table)
	case len(found) == 0: // what there is says what the table's name should be
		found = []string{""}
		if slices.ContainsFunc(p.file.Tensors(), func(t safetensors.Info) bool { return strings.HasPrefix(t.Name, prefix) }) {
			found[0] = prefix
		}
	}
	p.prefix = found[0]
	p.outer = strings.TrimSuffix(p.prefix, prefix)
	return nil
}

// findRole tells a generator by its head, unless our own key says what it is.
func (p *part) findRole() {
	_, lm := p.lookup(heads["generator"].theirs)
	switch {
	case p.settings.Metrolab != nil:
		p.role = p.settings.Metrolab.Role
	case p.settings.ModelType == electraType && lm:
		p.role = generatorRole
	default:
		p.role = mainRole
	}
}

// config describes the part alone.
func (p *part) config() metro.Config {
	var c metro.Config
	p.settings.describe(&c)
	if p.role == generatorRole {
		c.Generator = p.settings.encoder()
	} else {
		c.Main = p.settings.encoder()
	}
	c.Sharing = metro.SharingNone
	c.Objective.RTDHead, c.Objective.GeneratorHead = metro.RTDHeadProjected, metro.GeneratorHeadNorm
	if p.settings.ModelType == metroType {
		c.Objective.RTDHead, c.Objective.GeneratorHead = p.settings.Metrolab.RTDHead, p.settings.Metrolab.GeneratorHead
		if at := p.settings.Metrolab.Exits; at != "" {
			c, _ = c.WithExits(at) // checked with the settings
		}
	}
	return c
}

// joints are all tensors of the part, with the names that c's sharing gives them.
func (p *part) joints(c metro.Config) []joint {
	return jointsOf(c, p.settings.VocabSize, p.role, p.heads, p.prefix)
}

// compare checks that the file has all tensors that the settings promise, in their shapes, and no more in the encoder. It
// notes tensors elsewhere, such as another task's head.
func (p *part) compare() error {
	if have := len(p.file.Tensors()); p.settings.Layers > have {
		return fmt.Errorf("num_hidden_layers is %d, and %s holds %d tensors", p.settings.Layers, weightsFile, have)
	}
	known := map[string]bool{}
	var problems []error
	for _, j := range p.joints(p.config()) {
		info, ok := p.lookup(j.theirs)
		known[info.Name] = true
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("there is no tensor %s %v", p.spelled(j.theirs), j.theirShape()))
		case !slices.Equal(info.Shape, j.theirShape()):
			problems = append(problems, fmt.Errorf("tensor %s is %v, by %s it must be %v", info.Name, info.Shape, settingsFile, j.theirShape()))
		case !safetensors.IsFloat(info.DType):
			problems = append(problems, fmt.Errorf("tensor %s is of type %s; weights are F64, F32, F16 or BF16", info.Name, info.DType))
		}
	}
	for _, info := range p.file.Tensors() {
		switch {
		case known[info.Name] || p.isBuffer(info.Name):
		case p.inEncoder(info.Name):
			problems = append(problems, fmt.Errorf("there is a tensor %.80s %v, which %s has no place for", info.Name, info.Shape, settingsFile))
		default:
			p.unread = append(p.unread, info.Name)
		}
	}
	if more := len(problems) - 5; more > 0 {
		problems = append(problems[:5], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

func (p *part) inEncoder(name string) bool {
	rest, ok := strings.CutPrefix(name, p.prefix)
	root, _, _ := strings.Cut(rest, ".")
	return ok && (root == "embeddings" || root == "embeddings_project" || root == "encoder")
}

// outputWeights is the token table once more, which some programs write beside the first.
const outputWeights = "generator_lm_head.weight"

// The bias of BERT's output, and its second name in some files.
const outputBias, outputBiasAgain = "cls.predictions.bias", "cls.predictions.decoder.bias"

// isBuffer tells tensors that say nothing new: counted positions, and the tied output weights, with BERT's second name of
// their bias.
func (p *part) isBuffer(name string) bool {
	output, _ := p.lookup(outputWeights)
	return name == p.prefix+"embeddings.position_ids" || name == p.prefix+"embeddings.token_type_ids" ||
		name == output.Name || name == p.outer+outputBiasAgain && slices.Contains(p.heads, "lm")
}

// checkTied refuses output weights that are not the token table, and a bias whose second name has another.
func (p *part) checkTied() error {
	if info, ok := p.lookup(outputWeights); ok {
		same, err := equalTensors(p, outputWeights, p, p.prefix+"embeddings.word_embeddings.weight")
		if err == nil && !same {
			err = fmt.Errorf("%s is not the token table: output weights of their own are not supported", info.Name)
		}
		if err != nil {
			return err
		}
	}
	again, ok := p.lookup(outputBiasAgain)
	if !ok || !slices.Contains(p.heads, "lm") {
		return nil
	}
	same, err := equalTensors(p, outputBias, p, outputBiasAgain)
	if err == nil && !same {
		err = fmt.Errorf("%s is not %s, and they are the bias of one output; leave the one out that is not meant", again.Name, p.spelled(outputBias))
	}
	return err
}

// chunk is how many elements are held at a time.
const chunk = 1 << 15

// equalTensors compares two tensors value by value.
func equalTensors(a *part, nameA string, b *part, nameB string) (bool, error) {
	infoA, okA := a.lookup(nameA)
	infoB, okB := b.lookup(nameB)
	if !okA || !okB || !slices.Equal(infoA.Shape, infoB.Shape) {
		return false, nil
	}
	readA, err := a.floats(nameA)
	if err != nil {
		return false, err
	}
	readB, err := b.floats(nameB)
	if err != nil {
		return false, err
	}
	left := elements(infoA.Shape)
	bufferA, bufferB := make([]float32, min(left, chunk)), make([]float32, min(left, chunk))
	for ; left > 0; left -= chunk {
		n := min(left, chunk)
		if err := errors.Join(readA.Read(bufferA[:n]), readB.Read(bufferB[:n])); err != nil {
			return false, err
		}
		if !slices.Equal(bufferA[:n], bufferB[:n]) {
			return false, nil
		}
	}
	return true, nil
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
