// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/minimalpairs"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

// blimpFlags choose models, pairs, scorers and what is written down.
type blimpFlags struct {
	models, scorers                        []string
	study, predictions                     string
	data, corpus, backend, output, picture string
	format                                 string
	paradigms                              bool
	pairs                                  minimalpairs.Options
}

func blimpCommand() *cobra.Command {
	var f blimpFlags
	cmd := &cobra.Command{
		Use:   "blimp",
		Short: "Ask models which of two sentences is acceptable: BLiMP, or any minimal pairs",
		Long: `Scores both sentences of minimal pairs by each head of a pretrained model, and counts how often the acceptable one has the
higher score. Scorers, of which --scorer picks some:

  detector     Σ log p(original) of replaced token detection: one pass a sentence
  clm          the corrective head's Σ log q of what stands there: one pass a sentence
  clm-masked   the same with one token masked at a time; the main model has not seen masks in training
  lm           a language modelling head's Σ log q of what stands there (all_token_lm, replace_mlm): one pass
  lm-masked    the same with one token masked at a time: pseudo-log-likelihood (mlm, BERT)
  generator    pseudo-log-likelihood by the generator, which says little of the main model

Beside them stand anchors that know no grammar: the length of a sentence, how frequent its words and its tokens are, and
trigrams, counted in the text that the model was trained on, or in that of --corpus (none leaves those out). Ties are counted
as right, which is BLiMP's own rule, as half and as wrong: many pairs have the same words, and who counts these as right gives
the frequencies of words a score that small models hardly reach. Intervals, of 95 %, are over paradigms and models, and so is
how much more than the trigrams' an accuracy is. Each --model is one seed of a configuration.

BLiMP's files, 67 times NAME.jsonl, are the folder data of alexwarstadt/blimp on GitHub. A file of pairs is JSON objects, one a
line, with two sentences and, if there are such, a paradigm, a term and a field; --good, --bad, --uid, --term and --domain
name the fields that hold them. With --output all is written as JSON, with --plot drawn, and with --format printed as CSV,
LaTeX or Markdown.

--study asks the runs of a study that have ended, the seeds of each arm as one configuration, and prints a row for each arm and scorer.
--predictions writes which sentence each scorer of each model takes, in the form of BabyLM's evaluation pipeline (2025):
DIR/RUN/main/zero_shot/SCORER/blimp/DATA/predictions.json.`,
		Example: `  metro blimp --model runs/tiny-0123456789 --data blimp/data
  metro blimp --model runs/tiny-0123456789 --model runs/tiny-9876543210 --data blimp/data --output blimp.json --plot blimp.png
  metro blimp --model runs/tiny-0123456789 --data blimp/data --scorer detector --paradigms --format csv > blimp.csv
  metro blimp --study runs/babylm --data blimp/data --predictions results
  metro blimp --model minilm --data mine.jsonl --good right --bad wrong --corpus none`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return blimp(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.models, "model", nil, "folder of a run, RUN@STEP for its checkpoint of a step, or a Hugging Face folder; repeat for the seeds of one configuration")
	flags.StringVar(&f.study, "study", "", "folder of a study, whose runs are asked in the place of --model")
	flags.StringVar(&f.predictions, "predictions", "", "folder to write the sentences that are taken to, as BabyLM's pipeline does")
	flags.StringVar(&f.data, "data", "", "file of minimal pairs, or a folder of them")
	flags.StringSliceVar(&f.scorers, "scorer", nil, strings.Join(minimalpairs.ScorerNames(), ", ")+"; all that the model has heads for, if not given")
	flags.StringVar(&f.corpus, "corpus", "", "text that the anchors are counted in; the model's training text if not given, none for no counting")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.StringVar(&f.output, "output", "", "JSON file to write all results into, which must not be there yet")
	flags.StringVar(&f.picture, "plot", "", "PNG file to draw scorers and anchors into")
	flags.StringVar(&f.format, "format", "text", "how the table is printed: text, csv, latex, markdown")
	flags.BoolVar(&f.paradigms, "paradigms", false, "a row for each paradigm too")
	flags.BoolVar(&f.pairs.SkipBadRows, "skip-bad-rows", false, "leave out lines that are no minimal pairs, and say which")
	flags.StringVar(&f.pairs.Good, "good", "sentence_good", "field of the acceptable sentence")
	flags.StringVar(&f.pairs.Bad, "bad", "sentence_bad", "field of the other one")
	flags.StringVar(&f.pairs.Paradigm, "uid", "UID", "field of the paradigm; a pair without is of one of its file's name")
	flags.StringVar(&f.pairs.Term, "term", "linguistics_term", "field of what paradigms are of, finely")
	flags.StringVar(&f.pairs.Field, "domain", "field", "field of what paradigms are of, roughly")
	if err := cmd.MarkFlagRequired("data"); err != nil {
		panic(err)
	}
	return cmd
}

func blimp(cmd *cobra.Command, f blimpFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	set, err := minimalpairs.Read(f.data, f.pairs)
	if err != nil {
		return err
	}
	say(set.Notes...)
	say(fmt.Sprintf("%s pairs of %d paradigms, %d of which are twice the same sentence", humanize.Comma(int64(set.Pairs())), len(set.Paradigms), set.Equal()))
	if f.study != "" {
		return f.ofStudy(cmd, set)
	}
	report, err := f.report(cmd.Context(), set)
	if err != nil {
		return err
	}
	return f.leave(cmd, report)
}

// report asks the models, and the anchors, about a set.
func (f blimpFlags) report(ctx context.Context, set *minimalpairs.Set) (minimalpairs.Report, error) {
	asks := inquiry{set: set, outcomes: map[string][]minimalpairs.Outcomes{}, report: minimalpairs.Report{Data: set.Describe()}}
	seeds, be, err := openSeeds(f)
	if err != nil {
		return asks.report, err
	}
	anchors, err := f.anchors(ctx, set, seeds[0], &asks.report)
	if err != nil {
		return asks.report, err
	}
	for _, s := range anchors {
		if err := asks.ask(ctx, s, nil); err != nil {
			return asks.report, err
		}
	}
	names := f.scorers
	for i, p := range seeds {
		m, err := minimalpairs.Open(be, p)
		if err != nil {
			return asks.report, err
		}
		if len(names) == 0 {
			names = m.Names()
		}
		asks.survey(p, m)
		for j, name := range names {
			s, err := m.Scorer(name)
			if err != nil {
				return asks.report, err
			}
			bar := newBar(name)
			bar.screen.waitFor("these sentences")
			err = asks.ask(ctx, s, func(done, total int) { bar.describe(done, total, scoringWords(i, len(seeds), j, len(names))) })
			bar.finish()
			if err == nil && f.predictions != "" {
				of := asks.outcomes[name]
				err = f.predict(p, name, minimalpairs.Predict(set, of[len(of)-1]))
			}
			if err != nil {
				return asks.report, err
			}
		}
	}
	return asks.reported(names, anchors), nil
}

// inquiry gathers what scorers say of a set.
type inquiry struct {
	set      *minimalpairs.Set
	outcomes map[string][]minimalpairs.Outcomes // by scorer, those of each model
	report   minimalpairs.Report
}

func (q *inquiry) ask(ctx context.Context, s minimalpairs.Scorer, progress func(done, total int)) error {
	outcomes, err := minimalpairs.Compare(ctx, q.set, s, progress)
	q.outcomes[s.Name()] = append(q.outcomes[s.Name()], outcomes)
	return err
}

// survey writes down which model it is, and says what it does not read as it stands.
func (q *inquiry) survey(p training.Pretrained, m *minimalpairs.Model) {
	sentences := q.set.Sentences()
	long, unknown := m.Survey(sentences)
	info := minimalpairs.ModelInfo{Dir: p.Dir, Step: p.Step, Long: long, Unknown: unknown}
	if p.IsRun() {
		info.Seed, info.Objective = p.Identity.Config.Seed, p.Identity.Config.Objective.Name
	}
	q.report.Models = append(q.report.Models, info)
	if long > 0 {
		say(fmt.Sprintf("%s reads %d tokens at a time: %s of %s sentences are longer, and are read in windows that overlap by half",
			p.Dir, p.Model.Config.Data.SeqLen, humanize.Comma(int64(long)), humanize.Comma(int64(len(sentences)))))
	}
	if unknown > 0 {
		say(fmt.Sprintf("%s does not know all tokens of %s sentences", p.Dir, humanize.Comma(int64(unknown))))
	}
}

// reported is the report, with the results of scorers in the order of names, and those of anchors.
func (q *inquiry) reported(names []string, anchors []minimalpairs.Scorer) minimalpairs.Report {
	var trigram minimalpairs.Outcomes
	if counted := q.outcomes[minimalpairs.ByTrigram]; len(counted) > 0 {
		trigram = counted[0]
	}
	for _, name := range names {
		q.report.Scorers = append(q.report.Scorers, minimalpairs.Result{Name: name, Groups: minimalpairs.Aggregate(q.set, q.outcomes[name], trigram)})
	}
	for _, s := range anchors {
		q.report.Scorers = append(q.report.Scorers, minimalpairs.Result{Name: s.Name(), Anchor: true, Groups: minimalpairs.Aggregate(q.set, q.outcomes[s.Name()], nil)})
	}
	return q.report
}

// check refuses what would be found out only after all is scored.
func (f blimpFlags) check() error {
	switch {
	case (len(f.models) == 0) == (f.study == ""):
		return usererr.New("name models by --model, or a study by --study, one of the two")
	case f.study != "" && f.picture != "":
		return usererr.New("--plot draws one configuration, and --study asks several; leave one out")
	}
	if f.format != "text" && (tableFormats[f.format] == nil || f.format == "parquet") {
		return usererr.New("there is no format %q; there are text, csv, latex, markdown", f.format)
	}
	for _, name := range f.scorers {
		if !slices.Contains(minimalpairs.ScorerNames(), name) {
			return usererr.New("there is no scorer %q; there are %s", name, strings.Join(minimalpairs.ScorerNames(), ", "))
		}
	}
	if f.picture != "" && !strings.HasSuffix(f.picture, ".png") {
		return usererr.New("the picture %s is written as PNG; give it a name that ends in .png", f.picture)
	}
	if f.output != "" && !strings.HasSuffix(f.output, ".json") {
		return usererr.New("--output is %q; the name of a report ends in .json", f.output)
	}
	if f.output != "" {
		if err := vacant("--output", f.output); err != nil {
			return err
		}
	}
	if f.picture != "" {
		return needFolder("--plot", f.picture)
	}
	return nil
}

// say prints what a person should know beside the table.
func say(lines ...string) {
	for _, line := range lines {
		fmt.Fprintln(stderr, line)
	}
}

func scoringWords(model, models, scorer, scorers int) string {
	words := fmt.Sprintf("scorer %d of %d", scorer+1, scorers)
	if models > 1 {
		words += fmt.Sprintf(", model %d of %d", model+1, models)
	}
	return words
}

// openSeeds loads the models, which are one configuration's with different seeds, and what computes them.
func openSeeds(f blimpFlags) (seeds []training.Pretrained, be compute.Backend, err error) {
	for _, dir := range f.models {
		p, err := during("reading the model", func() (training.Pretrained, error) { return training.LoadPretrained(dir) })
		if err != nil {
			return nil, nil, err
		}
		say(p.Notes...)
		if len(seeds) > 0 {
			if err := sameConfiguration(seeds[0], p); err != nil {
				return nil, nil, err
			}
		}
		seeds = append(seeds, p)
	}
	if be, err = during("loading the backend", func() (compute.Backend, error) { return workspace.OpenBackend(f.backend) }); err != nil {
		return nil, nil, err
	}
	info := backend.Describe(be)
	say(info.String())
	return seeds, be, onOneDevice(info.Divided)
}

// sameConfiguration returns the user's error if two models differ in more than a seed.
func sameConfiguration(a, b training.Pretrained) error {
	const way = "several --model are the seeds of one configuration; ask about others by a command of their own"
	if a.Tokenizer.Hash() != b.Tokenizer.Hash() {
		return usererr.New("%s and %s have different tokenizers; %s", a.Dir, b.Dir, way)
	}
	if a.IsRun() != b.IsRun() {
		return usererr.New("%s is a run and %s is not, or the other way round; %s", a.Dir, b.Dir, way)
	}
	if a.IsRun() && a.Identity.Corpus != b.Identity.Corpus {
		return usererr.New("%s and %s were trained on different texts; %s", a.Dir, b.Dir, way)
	}
	one, other := a.Identity.Config, b.Identity.Config
	one.Seed, one.Data.Corpus = other.Seed, other.Data.Corpus // what lies there is compared, not where
	values := map[string]any{}
	for _, y := range other.Fields() {
		values[y.Path] = y.Value
	}
	for _, x := range one.Fields() {
		if y := values[x.Path]; x.Class != metro.ClassOperation && fmt.Sprint(x.Value) != fmt.Sprint(y) {
			return usererr.New("%s and %s differ in %s, %v and %v; %s", a.Dir, b.Dir, x.Path, x.Value, y, way)
		}
	}
	return nil
}

// anchors are the scorers that know nothing of grammar, as far as there is a text to count in.
func (f blimpFlags) anchors(ctx context.Context, set *minimalpairs.Set, s training.Pretrained, report *minimalpairs.Report) ([]minimalpairs.Scorer, error) {
	list := []minimalpairs.Scorer{minimalpairs.Characters(), minimalpairs.Tokens(s.Tokenizer)}
	if f.corpus == "none" {
		return list, nil
	}
	if f.corpus == "" && !s.IsRun() {
		say(fmt.Sprintf("%s does not say what it was trained on, so that no words are counted; name the text by --corpus, or none", s.Dir))
		return list, nil
	}
	corpus, err := f.trainingText(ctx, s)
	if err != nil {
		return nil, err
	}
	report.Corpus = &minimalpairs.CorpusInfo{Source: corpus.Source, Hash: corpus.Hash, Trained: s.IsRun() && corpus.Hash == s.Identity.Corpus}
	if s.IsRun() && !report.Corpus.Trained {
		if f.corpus == "" {
			return nil, usererr.New("%s is not the text any more that %s was trained on: its hash is %.10s, the run says %.10s; put it back, or name a text by --corpus, or none",
				corpus.Source, s.Dir, corpus.Hash, s.Identity.Corpus)
		}
		say(fmt.Sprintf("the anchors are counted in %s, which is not the text that %s was trained on", corpus.Source, s.Dir))
	}
	bar := newBar("counting words")
	words, err := minimalpairs.CountWords(ctx, corpus, set.Sentences(), bar.set)
	bar.finish()
	if err != nil {
		return nil, err
	}
	cache, err := text.CacheDir()
	if err != nil {
		return nil, err
	}
	bar = newBar("tokenizing")
	files, err := tokens.Tokenize(ctx, corpus, s.Tokenizer, cache, bar.set)
	bar.finish()
	if err != nil {
		return nil, err
	}
	bar = newBar("counting tokens")
	grams, err := minimalpairs.CountTokens(ctx, files, s.Tokenizer, set.Sentences(), bar.set)
	bar.finish()
	if err != nil {
		return nil, err
	}
	return append(list, words, grams.Unigram(), grams.Trigram()), nil
}

// trainingText is what --corpus names or, without, what the config of a run does.
func (f blimpFlags) trainingText(ctx context.Context, s training.Pretrained) (*text.Corpus, error) {
	d := s.Identity.Config.Data
	if f.corpus != "" {
		return prepareCorpus(ctx, f.corpus, textFlags{field: d.Field, files: d.Files})
	}
	if d.Mixture != "" {
		say(fmt.Sprintf("the anchors are counted in the text of %s alone, without what data.mixture adds, %s", s.Dir, d.Mixture))
	}
	corpus, err := prepareCorpus(ctx, cmp.Or(d.Corpus, text.Default), textFlags{field: d.Field, files: d.Files})
	if err != nil {
		return nil, fmt.Errorf("the text that %s was trained on, for the anchors (--corpus names another, or none): %w", s.Dir, err)
	}
	if d.NearDuplicates > 0 {
		return corpus.WithoutNeighbours(ctx, d.NearDuplicates, text.Options{Field: d.Field})
	}
	return corpus, nil
}

// leave prints a report and writes its files.
func (f blimpFlags) leave(cmd *cobra.Command, report minimalpairs.Report) error {
	out := cmd.OutOrStdout()
	if f.format == "text" {
		for _, t := range blimpTables(report, f.paradigms) {
			printTable(out, t)
			fmt.Fprintln(out)
		}
	} else {
		written, err := tableFormats[f.format](blimpTable(report, f.paradigms))
		if err != nil {
			return err
		}
		if err := writeOutput(out, "", written, false); err != nil {
			return err
		}
	}
	if f.output != "" {
		if err := runs.WriteJSON(f.output, report); err != nil {
			return usererr.New("--output: %w", err)
		}
		say("report: " + f.output)
	}
	if f.picture == "" {
		return nil
	}
	figure, err := blimpFigure(report).Figure()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(f.picture, figure.PNG); err != nil {
		return usererr.New("write the picture: %w", err)
	}
	say("picture: " + f.picture)
	return nil
}
