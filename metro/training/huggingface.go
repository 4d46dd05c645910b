// SPDX-License-Identifier: Apache-2.0

package training

import (
	"encoding/json"
	"path/filepath"

	"metrolab/internal/bounded"
	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/recipes"
	"metrolab/metro/weights"
)

// isHuggingFace tells a Hugging Face folder, or a pair of them, from a run: its config.json names a model type or, if it is
// old, a width.
func isHuggingFace(dir string) bool {
	for _, path := range []string{"", "discriminator", "main", "generator"} {
		text, err := bounded.ReadText(filepath.Join(dir, path, "config.json"), 1<<20)
		var settings struct {
			ModelType  string `json:"model_type"`
			HiddenSize int    `json:"hidden_size"`
		}
		if err == nil && json.Unmarshal(text, &settings) == nil && (settings.ModelType != "" || settings.HiddenSize > 0) {
			return true
		}
	}
	return false
}

// loadHuggingFace looks at a folder, which may have no tokenizer. What it does not say, such as the optimizer's settings, is taken from ELECTRA-small's recipe.
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
	if len(folder.Config.ExitLayers()) > 0 {
		c.Objective.Name, c.Objective.Options = folder.Config.Objective.Name, folder.Config.Objective.Options
	}
	alone := folder.Config.Main.Width == 0
	if alone {
		c.Sharing = metro.SharingNone
		folder.Notes = append(folder.Notes, dir+" holds a generator alone, which guesses at [MASK] and nowhere else")
	}
	p := Pretrained{
		Dir: dir, Identity: RunIdentity{Config: c}, Tokenizer: folder.Tokenizer, Notes: folder.Notes,
		Model: folder.Model(), generatorAlone: alone, shape: folder.Shape,
	}
	p.Model.Config = c
	p.open = func() (weights.Source, error) {
		folder, err := hf.Load(dir)
		if err != nil {
			return nil, err
		}
		return folder, nil
	}
	return p, nil
}
