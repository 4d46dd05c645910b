// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

func cardCommand() *cobra.Command {
	var model, output string
	cmd := &cobra.Command{
		Use:   "card",
		Short: "Write a model card: what a model is, was trained on, and scores",
		Long: `Writes a model card in Markdown, with the front matter that Hugging Face reads: the shape of the model, the text and the
settings that it was trained with, what it was measured at, and the results of the fine-tunings that "metro finetune" has left in
its folder. All of it is read from the folder; what a card needs beside that, a licence, whom the model is for and what it must
not be used for, is left to be filled in, and marked so.`,
		Example: `  metro card --model runs/tiny-0123456789
  metro card --model runs/tiny-0123456789 --output my-electra/README.md`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "-" {
				if err := vacant("--output", output); err != nil {
					return err
				}
			}
			p, err := during("reading the model", func() (training.Pretrained, error) { return training.LoadModel(model) })
			if err != nil {
				return err
			}
			text, err := card(p)
			if err != nil {
				return err
			}
			if output == "-" {
				_, err := fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			if err := atomicfile.WriteFile(output, []byte(text)); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "card: %s\n", output)
			return nil
		},
	}
	addModelFlag(cmd, &model)
	cmd.Flags().StringVar(&output, "output", "-", "file to write, which must not be there yet; - is the standard output")
	return cmd
}

// toFill marks what nobody but the model's author knows.
const toFill = "(to be filled in)"

// card is the model card of p.
func card(p training.Pretrained) (string, error) {
	var b strings.Builder
	c := p.Model.Config
	name := filepath.Base(filepath.Clean(p.Dir))
	fmt.Fprintf(&b, "---\nlibrary_name: metrolab\ntags: [text-encoder, %s]\n---\n\n# %s\n\n", tagOf(c), name)
	inventory := metro.Describe(c, p.Model.Vocab)
	fmt.Fprintf(&b, "A text encoder of %d layers and width %d, %s weights, a vocabulary of %s, that reads %d tokens at a time.\n",
		c.Main.Layers, c.Main.Width, humanize.Comma(int64(inventory.Of(metro.OwnerMain).Encoder().Count())), humanize.Comma(int64(p.Model.Vocab)), c.Data.SeqLen)
	stored, err := storedIn(p)
	if err != nil {
		return "", err
	}
	if stored.Matrices > 0 {
		fmt.Fprintf(&b, "Of these, %s in %d matrices are stored as factors of %s numbers, and multiplied when the model is read.\n",
			humanize.Comma(int64(stored.Numbers)), stored.Matrices, humanize.Comma(int64(stored.Factors)))
	}
	fmt.Fprintf(&b, "\n- Licence: %s\n- For whom, and for what: %s\n- Not for, and known faults: %s\n", toFill, toFill, toFill)
	if p.IsRun() {
		if err := trainingOf(&b, p); err != nil {
			return "", err
		}
	}
	err = finetuningsOf(&b, p.Dir)
	return b.String(), err
}

// storedIn says how much of p is stored as factors.
func storedIn(p training.Pretrained) (weights.Stored, error) {
	src, err := p.Source()
	if err != nil {
		return weights.Stored{}, err
	}
	defer src.Close()
	return weights.StoredAs(src)
}

// tagOf is what the model was trained by.
func tagOf(c metro.Config) string {
	if c.Task.Name != "" {
		return c.Task.Name
	}
	return c.Objective.Name
}

// trainingOf writes how a run was trained and what it was measured at.
func trainingOf(b *strings.Builder, p training.Pretrained) error {
	c := p.Identity.Config
	fmt.Fprintf(b, "\n## Training\n\n")
	what := "objective " + c.Objective.Name
	if c.Task.Name != "" {
		what = "task " + c.Task.Name
	}
	fmt.Fprintf(b, "%s, %s steps of %d rows, to step %s of a checkpoint; seed %d. The text's hash is %.16s, the tokenizer's %.16s.\n\n",
		what, humanize.Comma(int64(c.Training.Steps)), c.Training.BatchSize, humanize.Comma(int64(p.Step)), c.Seed, p.Identity.Corpus, p.Identity.Tokenizer)
	fmt.Fprintf(b, "| setting | value |\n|---|---|\n")
	for _, f := range c.Fields() {
		if f.InUse && !f.IsPath && f.Class != metro.ClassOperation {
			fmt.Fprintf(b, "| `%s` | %v |\n", f.Path, f.Value)
		}
	}
	run, err := runs.Store{Root: filepath.Dir(filepath.Clean(p.RunDir))}.Open(filepath.Base(filepath.Clean(p.RunDir)))
	if err != nil {
		return err
	}
	result, found, err := training.ReadResult(run)
	if err != nil || !found {
		fmt.Fprintf(b, "\nThe run is not finished: nothing was measured at its end.\n")
		return err
	}
	if p.Step != result.Steps {
		fmt.Fprintf(b, "\nThe run went on to step %s: what was measured at its end is not this model's.\n", humanize.Comma(int64(result.Steps)))
		return nil
	}
	fmt.Fprintf(b, "\n## Measured\n\nAfter %s steps and %.0f seconds.\n\n| what | value | meaning |\n|---|---:|---|\n", humanize.Comma(int64(result.Steps)), result.Seconds)
	for _, key := range slices.Sorted(maps.Keys(result.Metrics)) {
		if m := metrics.Of(key); !m.Timing {
			fmt.Fprintf(b, "| %s | "+m.Format+" | %s |\n", m.Label, result.Metrics[key], m.Meaning)
		}
	}
	return nil
}

// finetuningsOf writes the results of the fine-tunings that are kept in the folder of a model.
func finetuningsOf(b *strings.Builder, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "finetune-*.json"))
	if err != nil {
		return err
	}
	first, seen := true, map[string]bool{}
	for _, path := range paths {
		var r tasks.Result
		if err := runs.ReadJSON(path, &r); err != nil {
			return err
		}
		again, err := json.Marshal(r) // of the same fine-tuning there are two files
		if err != nil {
			return err
		}
		if seen[string(again)] {
			continue
		}
		seen[string(again)] = true
		if first {
			fmt.Fprintf(b, "\n## Fine-tuned\n\n| task | learned | test texts | metric | model | words alone | most frequent answer | steps | seed |\n|---|---|---:|---|---:|---:|---:|---:|---:|\n")
			first = false
		}
		metric, words := metricsOf(r)[0], r.TFIDF
		if words.Metrics == nil {
			words = r.BagOfWords
		}
		name := r.Task
		if r.FromScratch {
			name += ", from scratch"
		}
		fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %s | %s | %d | %d |\n", name, learned(r), r.TestTexts, spoken(metric), score(r.Model, metric), score(words, metric), score(r.Majority, metric), r.Steps, r.Seed)
	}
	return nil
}

// score is a metric, a dash where it was not measured.
func score(s tasks.Scores, metric string) string {
	if s.Metrics == nil && s.Confusion == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f", s.Value(metric))
}
