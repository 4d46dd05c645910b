// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/compress"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
	"metrolab/viz"
	"metrolab/viz/table"
)

// compressStudyFlags choose models, compressions and what is written down.
type compressStudyFlags struct {
	models                                []string
	set, corpus, backend, output, picture string
	rows                                  int
	study                                 compress.Study
}

func compressStudyCommand() *cobra.Command {
	var f compressStudyFlags
	cmd := &cobra.Command{
		Use:   "study",
		Short: "Ask what compressing a model does to its RTD AUC, by method, rank and layers",
		Long: `Compresses models in every way, by each method at each rank in each scope, and scores each on a frozen corrupted set; nothing is
trained. The best of many is better than it is worth, so the rows of the set are halved by a hash of their tokens: each model
chooses its rank on the one half, and what that does is reported on the other. Noise as large as what cp leaves out, and each
matrix by itself (svd), stand beside.

Each --model is one seed of a configuration. Intervals, of 95 %, are over models where they are three and more, and else over
rows of text. p is that of the largest difference of all variants, by changes of signs (max-T): over rows, whether other text
would say so of these models, and over models, where they are six and more.`,
		Example: `  metro compress study --model runs/tiny-0123456789
  metro compress study --model runs/tiny-0123456789 --model runs/tiny-9876543210 --target attention --across --ranks 1,4,16
  metro compress study --model runs/tiny-0123456789 --layers last,all --output ranks.json --plot pictures`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return compressStudy(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.models, "model", nil, "folder of a run, RUN@STEP for its checkpoint of a step, or a Hugging Face folder; repeat for the seeds of one configuration")
	flags.StringVar(&f.study.Target, "target", compress.TargetFeedForward, strings.Join(compress.Targets, ", "))
	flags.StringSliceVar(&f.study.Methods, "methods", nil, strings.Join(compress.Methods, ", ")+"; all if not given")
	flags.StringSliceVar(&f.study.Layers, "layers", nil, "scopes: all, last, one layer such as 0, or some such as 0-2; each layer, and all, if not given")
	flags.BoolVar(&f.study.Across, "across", false, "take the layers of a scope as one stack too")
	flags.IntSliceVar(&f.study.Ranks, "ranks", nil, "ranks to try; the powers of two that fit if not given")
	flags.BoolVar(&f.study.Normalise, "normalise", false, "divide each matrix of a stack by its norm first, and multiply by it afterwards")
	flags.StringVar(&f.study.Start, "start", "", strings.Join(compress.Starts, ", ")+"; what cp (and noise) begins with; hosvd if not given")
	flags.Int64Var(&f.study.Seed, "seed", 0, "of noise, random starts and changes of signs")
	flags.StringVar(&f.set, "set-of", training.FrozenUnigram, training.FrozenUnigram+" or "+training.FrozenBigram+": whose corrupted rows are scored")
	flags.IntVar(&f.rows, "rows", 0, "rows of the frozen set; as many as training evaluates on if not given")
	flags.StringVar(&f.corpus, "corpus", "", "text of the frozen set; the model's training text if not given")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.StringVar(&f.output, "output", "", "JSON file to write all results into, which must not be there yet")
	flags.StringVar(&f.picture, "plot", "", "folder to draw pictures into, one a scope")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
	return cmd
}

// check refuses what would be found out only after all is scored.
func (f compressStudyFlags) check() error {
	switch {
	case f.set != training.FrozenUnigram && f.set != training.FrozenBigram:
		return usererr.New("--set-of is %s or %s, not %q", training.FrozenUnigram, training.FrozenBigram, f.set)
	case f.output != "" && !strings.HasSuffix(f.output, ".json"):
		return usererr.New("--output is %q; the name of a report ends in .json", f.output)
	case f.rows < 0:
		return usererr.New("--rows is %d; there are 1 and more", f.rows)
	case f.output != "":
		return vacant("--output", f.output)
	}
	return nil
}

func compressStudy(cmd *cobra.Command, f compressStudyFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	var models []remade
	defer func() {
		for _, m := range models {
			err = errors.Join(err, m.source.Close())
		}
	}()
	for _, dir := range f.models {
		m, err := openSource(dir)
		if err != nil {
			return err
		}
		models = append(models, m)
		if err := sameConfiguration(models[0].Pretrained, m.Pretrained); err != nil {
			return err
		}
		if err := f.study.Check(m.source); err != nil {
			return err
		}
	}
	halves, err := f.halves(cmd.Context(), models[0].Pretrained)
	if err != nil {
		return err
	}
	be, err := workspace.OpenBackend(f.backend)
	if err != nil {
		return err
	}
	detector, err := compress.NewDetector(be, models[0].source, halves)
	if err != nil {
		return err
	}
	defer detector.Close()
	bar := newBar("compressing")
	bar.screen.waitFor("this compression")
	var scores []*compress.Scores
	for i, m := range models {
		s, err := f.study.Score(cmd.Context(), detector, m.source, func(done, total int) {
			bar.describe(i*total+done, len(models)*total, fmt.Sprintf("model %d of %d", i+1, len(models)))
		})
		if err != nil {
			bar.finish()
			return err
		}
		scores = append(scores, s)
	}
	bar.finish()
	report := f.study.Summarise(halves, scores)
	report.Set = f.set
	return f.leave(cmd, report)
}

// halves are those of the frozen set that p is scored on.
func (f compressStudyFlags) halves(ctx context.Context, p training.Pretrained) (_ *compress.Halves, err error) {
	c := p.Identity.Config
	corpus, err := prepareCorpus(ctx, cmp.Or(f.corpus, c.Data.Corpus, text.Default), textFlags{field: c.Data.Field, files: c.Data.Files})
	if err != nil {
		return nil, fmt.Errorf("the text of the frozen set (--corpus names another): %w", err)
	}
	if p.IsRun() && corpus.Hash != p.Identity.Corpus {
		say(fmt.Sprintf("the frozen set is of %s, which is not the text that %s was trained on", corpus.Source, p.Dir))
	}
	cache, err := text.CacheDir()
	if err != nil {
		return nil, err
	}
	bar := newBar("tokenizing")
	d, err := data.NewDataset(ctx, corpus, p.Tokenizer, p.Model.Config.Data.SeqLen, cache, bar.set)
	bar.finish()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	rows := cmp.Or(f.rows, c.Evaluation.Rows, min(512, d.Test.Len()))
	if have := d.Test.Len(); rows > have {
		return nil, usererr.New("the test split of %s has %d rows of %d tokens, and %d are asked for; set --rows lower", corpus.Source, have, d.Test.SeqLen, rows)
	}
	set, err := training.FrozenSet(d, f.set, rows)
	if err != nil {
		return nil, err
	}
	return compress.NewHalves(set)
}

// leave prints what was found, and writes it down.
func (f compressStudyFlags) leave(cmd *cobra.Command, r compress.Report) error {
	w := cmd.OutOrStdout()
	printTable(w, choiceTable(r))
	auc := 0.0
	for _, m := range r.Models {
		auc += m.AUC[1] / float64(len(r.Models))
	}
	over := "rows of text"
	if len(r.Models) >= 3 {
		over = "models"
	}
	fmt.Fprintf(w, `
differences of %s; elsewhere, uncompressed, it is %.4f
there: on the %d rows that choose the rank, elsewhere: on %d others
models: %d; the interval is over %s
`, r.Set, auc, r.Rows[0], r.Rows[1], len(r.Models), over)
	for _, line := range extremes(r) {
		fmt.Fprintln(w, line)
	}
	if f.output != "" {
		if err := runs.WriteJSON(f.output, r); err != nil {
			return usererr.New("--output: %w", err)
		}
		say("report: " + f.output)
	}
	if f.picture == "" {
		return nil
	}
	for _, curves := range rankCurves(r) {
		figure, err := curves.Figure()
		if err != nil {
			return err
		}
		path, err := figure.Save(f.picture)
		if err != nil {
			return usererr.New("write the picture: %w", err)
		}
		say("picture: " + path)
	}
	return nil
}

// extremes say which variants differ most on the reported half, and how sure that is after looking at all.
func extremes(r compress.Report) (lines []string) {
	surest := func(sign float64) *compress.Variant {
		var best *compress.Variant
		for i, v := range r.Variants {
			if sign*v.Reported > 0 && (best == nil || v.PText < best.PText || v.PText == best.PText && sign*v.Reported > sign*best.Reported) {
				best = &r.Variants[i]
			}
		}
		return best
	}
	for _, one := range []struct {
		words string
		v     *compress.Variant
	}{{"surest gain", surest(1)}, {"surest loss", surest(-1)}} {
		if one.v == nil {
			lines = append(lines, one.words+": none")
			continue
		}
		line := fmt.Sprintf("%s of %d: %s, rank %d, %s: %+.4f, p %.2g over rows", one.words, len(r.Variants), one.v.Method, one.v.Rank, scopeName(one.v.Layers, one.v.Across), one.v.Reported, one.v.PText)
		if one.v.PModels != nil {
			line += fmt.Sprintf(", %.2g over models", *one.v.PModels)
		}
		lines = append(lines, line)
	}
	return lines
}

// scopeName says which layers, in words.
func scopeName(layers string, across bool) string {
	switch {
	case layers == "":
		return "token table"
	case across:
		return layers + ", one stack"
	}
	return layers
}

// choiceTable has a row for each method and scope.
func choiceTable(r compress.Report) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "layers"}, {Name: "method"}, {Name: "rank chosen", Align: table.Right}, {Name: "there", Align: table.Right}, {Name: "elsewhere", Align: table.Right},
		{Name: "95 %", Align: table.Right}, {Name: "smaller", Align: table.Right},
	}}
	for _, c := range r.Chosen {
		low, high := slices.Min(c.Ranks), slices.Max(c.Ranks)
		ranks := fmt.Sprint(low)
		if high > low {
			ranks = fmt.Sprintf("%d – %d", low, high)
		}
		t.Rows = append(t.Rows, []any{scopeName(c.Layers, c.Across), c.Method, ranks, fmt.Sprintf("%+.4f", c.Choosing), fmt.Sprintf("%+.4f", c.Reported),
			fmt.Sprintf("%+.4f – %+.4f", c.Interval[0], c.Interval[1]), fmt.Sprintf("%.3g×", c.Ratio)})
	}
	return t
}

// rankCurves draw the difference on the reported half against the rank, a line a method, a figure a scope.
func rankCurves(r compress.Report) (list []viz.Curves) {
	at := map[string]int{}
	for _, v := range r.Variants {
		scope := scopeName(v.Layers, v.Across)
		i, ok := at[scope]
		if !ok {
			i = len(list)
			at[scope] = i
			list = append(list, viz.Curves{
				Name: strings.NewReplacer(", ", "-", " ", "-").Replace("ranks-" + scope), Title: "What compression does to a detector: " + strings.ReplaceAll(r.Target, "_", " ") + ", " + scopeWords(scope),
				X: viz.Axis{Label: "rank"}.OnLogScale(), Y: viz.Axis{Label: "difference in AUC, on rows that chose nothing"}, Levels: []viz.Level{{}},
			})
		}
		c := &list[i]
		k := slices.IndexFunc(c.Series, func(s viz.Series) bool { return s.Name == v.Method })
		if k < 0 {
			k = len(c.Series)
			c.Series = append(c.Series, viz.Series{Name: v.Method, Runs: make([]viz.Line, len(v.Each))})
		}
		for m, y := range v.Each {
			line := &c.Series[k].Runs[m]
			line.X, line.Y = append(line.X, float64(v.Rank)), append(line.Y, y)
		}
	}
	return list
}

func scopeWords(scope string) string {
	if scope != "" && strings.Trim(scope, "0123456789") == "" {
		return "layer " + scope
	}
	return scope
}
