// SPDX-License-Identifier: Apache-2.0

package training

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/recipes"
)

// isHuggingFace tells a Hugging Face folder, or a pair of them, from a run: its config.json names a model type.
func isHuggingFace(dir string) bool {
	for _, path := range []string{"", "discriminator", "main", "generator"} {
		text, err := os.ReadFile(filepath.Join(dir, path, "config.json"))
		var settings struct {
			ModelType string `json:"model_type"`
		}
		if err == nil && json.Unmarshal(text, &settings) == nil && settings.ModelType != "" {
			return true
		}
	}
	return false
}

// loadHuggingFace looks at a folder. What it does not say, such as the optimizer's settings, is taken from ELECTRA-small's recipe.
func loadHuggingFace(dir string) (Pretrained, error) {
	folder, err := hf.Load(dir)
	if err != nil {
		return Pretrained{}, err
	}
	defer folder.Close()
	c, err := recipes.Get("electra-small")
	if err != nil {
		return Pretrained{}, err
	}
	c.Data.SeqLen, c.Main.Init = 0, ""
	c = folder.Shape(c)
	c.Main.Init, c.Main.InitScale = metro.InitTruncated, metro.InitScaleNone
	p := Pretrained{
		Dir: dir, Identity: RunIdentity{Config: c}, Tokenizer: folder.Tokenizer, Notes: folder.Notes,
		Model: metro.Model{Config: c, Vocab: folder.Config.Data.VocabSize, PadID: folder.Tokenizer.Special().PAD},
		shape: folder.Shape,
	}
	p.named = func(as metro.Config) metro.Config { return as }
	p.open = func(as metro.Config, part part) (weightFile, error) { return openHuggingFace(dir, as, part) }
	return p, nil
}

// huggingFaceFile is a folder's weights as a checkpoint's.
type huggingFaceFile struct {
	folder  *hf.Folder
	weights *hf.Weights
	infos   map[string]safetensors.Info
}

func openHuggingFace(dir string, as metro.Config, part part) (weightFile, error) {
	folder, err := hf.Load(dir)
	if err != nil {
		return nil, err
	}
	f := &huggingFaceFile{folder: folder, infos: map[string]safetensors.Info{}}
	if part == generatorAlone {
		f.weights, err = folder.ForGenerator(as)
	} else {
		f.weights, err = folder.For(as)
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	for _, t := range f.weights.Tensors() {
		f.infos[t.Name] = safetensors.Info{Name: t.Name, DType: "F32", Shape: t.Shape}
	}
	return f, nil
}

// Tensors implements [weightFile].
func (f *huggingFaceFile) Tensors() []safetensors.Info {
	var infos []safetensors.Info
	for _, t := range f.weights.Tensors() {
		infos = append(infos, f.infos[t.Name])
	}
	return infos
}

// Lookup implements [weightFile].
func (f *huggingFaceFile) Lookup(name string) (safetensors.Info, bool) {
	info, ok := f.infos[name]
	return info, ok
}

// Read implements [weightFile].
func (f *huggingFaceFile) Read(name string, dst []byte) error {
	if len(dst)%4 != 0 {
		return usererr.New("%s: %d bytes are no float32s", name, len(dst))
	}
	values := make([]float32, len(dst)/4)
	if err := f.weights.Read(name, values); err != nil {
		return err
	}
	for i, x := range values {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
	}
	return nil
}

// Close implements [weightFile].
func (f *huggingFaceFile) Close() error { return f.folder.Close() }

// Export writes the model as Hugging Face folders into dir; see [hf.Export]. The notes say what ELECTRA has no place for.
func (p Pretrained) Export(dir string) (notes []string, err error) {
	file, err := p.open(p.Model.Config, wholeModel)
	if err != nil {
		return nil, usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	return hf.Export(dir, p.Model.Config, p.Tokenizer, exported{file})
}

// exported gives a checkpoint's weights to [hf.Export].
type exported struct{ weightFile }

// Tensors implements [hf.Source].
func (e exported) Tensors() []hf.Tensor {
	var list []hf.Tensor
	for _, info := range e.weightFile.Tensors() {
		if !isMoment(info.Name) {
			list = append(list, hf.Tensor{Name: info.Name, Shape: info.Shape})
		}
	}
	return list
}

// Read implements [hf.Source].
func (e exported) Read(name string, dst []float32) error {
	raw := make([]byte, 4*len(dst))
	if err := e.weightFile.Read(name, raw); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}
