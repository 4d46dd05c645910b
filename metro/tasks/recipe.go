// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Recipe is how somebody has published that they fine-tune.
type Recipe struct {
	Name, About string
	Epochs      float64
	Batch       int
	Rate        float64
	Warmup      float64 // part of the steps
	Stride      int     // of spans
	Set         []string
}

// Recipes are the published ways of fine-tuning that have names. What is known of each, and how surely, is in About.
func Recipes() []Recipe {
	electra := []string{"task.pooling=cls", "optimizer.layer_decay_rule=electra", "optimizer.beta2=0.999", "optimizer.epsilon=1e-6", "optimizer.weight_decay=0.01", "optimizer.clip_norm=1"}
	turing := []string{"task.pooling=cls", "optimizer.layer_decay=1", "optimizer.beta2=0.98", "optimizer.epsilon=1e-6", "optimizer.weight_decay=0.1", "optimizer.clip_norm=0"}
	return []Recipe{
		{"electra", "ELECTRA small and base: rate 1e-4, batch 32, 3 epochs, warm-up 0.1, layer decay 0.8 (their code)", 3, 32, 1e-4, 0.1, 0, append([]string{"optimizer.layer_decay=0.8"}, electra...)},
		{"electra-large", "ELECTRA large: rate 5e-5, layer decay 0.9, else the same (their code)", 3, 32, 5e-5, 0.1, 0, append([]string{"optimizer.layer_decay=0.9"}, electra...)},
		{"tnlrv5-base", "T-NLRv5 base: rate 1e-5, batch 32, 5 epochs, warm-up 1/16, decay 0.1, no clipping (copies of its README)", 5, 32, 1e-5, 0.0625, 0, turing},
		{"tnlrv5-squad2", "T-NLRv5 on SQuAD 2: rate 3e-5, batch 32, 3 epochs, rows of 384, stride 128, warm-up 1/16, decay 0.1, no clipping (copies of its README)", 3, 32, 3e-5, 0.0625, 128, append([]string{"data.seq_len=384"}, turing[1:]...)},
	}
}

// Apply puts a recipe into what o leaves open, and returns the task with the recipe's stride. Settings that change nothing of the
// model, such as a layer decay of 1, are left out by the caller's config.
func (r Recipe) Apply(t Task, o *Options) Task {
	taken := map[string]bool{}
	adapted := metro.Config{Task: metro.Task{Name: t.About().Name}}
	for _, a := range o.Set {
		path, value, _ := strings.Cut(a, "=")
		taken[strings.TrimSpace(path)] = true
		if strings.TrimSpace(path) == "task.adaptation" {
			adapted.Task.Adaptation = strings.TrimSpace(value)
		}
	}
	if o.Steps == 0 && o.Epochs == 0 && !taken["training.steps"] {
		o.Epochs = r.Epochs
	}
	if o.BatchSize == 0 && !taken["training.batch_size"] {
		o.BatchSize = r.Batch
	}
	if o.LearningRate == 0 && !taken["optimizer.learning_rate"] {
		o.LearningRate = r.Rate
	}
	o.Warmup = r.Warmup
	for _, a := range r.Set {
		path, _, _ := strings.Cut(a, "=")
		if path == "task.pooling" && !t.Form(leastTokens).Pooled || strings.HasPrefix(path, "optimizer.layer_decay") && adapted.LeavesLayers() {
			continue
		}
		if !taken[path] {
			o.Set = append(o.Set, a)
		}
	}
	if spans, ok := t.(Spans); ok && r.Stride > 0 {
		spans.Stride = r.Stride
		return spans
	}
	return t
}

// RecipeOf is the recipe of that name.
func RecipeOf(name string) (Recipe, error) {
	var names []string
	for _, r := range Recipes() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Recipe{}, usererr.New("there is no recipe of fine-tuning %q; there are %s", name, strings.Join(names, ", "))
}
