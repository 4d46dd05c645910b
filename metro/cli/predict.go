// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
)

// predictFlags choose model, texts and what is asked.
type predictFlags struct {
	model, input, output, backend string
	options                       tasks.ReaderOptions
}

func predictCommand() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Say of each token whether it was replaced, and what the models would write",
		Long: `Reads JSON lines, each {"text": "…"} or {"ids": [2, 17, …]}, and writes a JSON line for each, in the same order, with
one entry a token: tokens, ids, rtd_logits and rtd_prob (the probability that the token was replaced), corrections (the main
model's guesses), generator (the generator's guesses at [MASK], null elsewhere) and, with --hidden, the states of the
last layer. What the model has no head for is left out. A text of any length is read in overlapping windows; ids are read as
they are, special tokens included. The model is a run or a Hugging Face ELECTRA or BERT folder.`,
		Example: `  metro predict --model runs/tiny-0123456789 --input texts.jsonl > answers.jsonl
  echo '{"text": "the reader [MASK] the file"}' | metro predict --model runs/tiny-0123456789 --input - --top-k 5`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return predict(cmd, f) },
	}
	flags := cmd.Flags()
	addModelFlag(cmd, &f.model)
	flags.StringVar(&f.input, "input", "", "JSON lines; - is the standard input")
	flags.StringVar(&f.output, "output", "", "file to write; the standard output if empty")
	flags.StringVar(&f.backend, "backend", "auto", "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so")
	flags.IntVar(&f.options.TopK, "top-k", 1, "guesses a token")
	flags.BoolVar(&f.options.Hidden, "hidden", false, "write the states of the last layer too")
	if err := cmd.MarkFlagRequired("input"); err != nil {
		panic(err)
	}
	return cmd
}

// addModelFlag adds the required --model.
func addModelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", "", "folder of a run, or a Hugging Face folder")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
}

// openReader loads a model for reading texts, and says what it passed over.
func openReader(model, engine string, o tasks.ReaderOptions) (*tasks.Reader, training.Pretrained, error) {
	p, err := training.LoadPretrained(model)
	if err != nil {
		return nil, p, err
	}
	for _, note := range p.Notes {
		fmt.Fprintln(os.Stderr, note)
	}
	be, err := backend.Open(engine)
	if err != nil {
		return nil, p, err
	}
	fmt.Fprintln(os.Stderr, backend.Describe(be))
	r, err := tasks.NewReader(be, p, o)
	return r, p, err
}

// question is a line of the input.
type question struct {
	Text *string `json:"text"`
	IDs  []int32 `json:"ids"`
}

// answer is a line of the output.
type answer struct {
	Tokens      []string      `json:"tokens"`
	IDs         []int32       `json:"ids"`
	RTDLogits   []float32     `json:"rtd_logits,omitempty"`
	RTDProb     []float64     `json:"rtd_prob,omitempty"`
	Corrections [][]guessLine `json:"corrections,omitempty"`
	Generator   [][]guessLine `json:"generator,omitempty"`
	Hidden      [][]float32   `json:"hidden,omitempty"`
}

type guessLine struct {
	Token string  `json:"token"`
	ID    int32   `json:"id"`
	Prob  float32 `json:"prob"`
}

func predict(cmd *cobra.Command, f predictFlags) (err error) {
	if f.options.TopK < 1 {
		return usererr.New("--top-k must be 1 or more, it is %d", f.options.TopK)
	}
	in := io.Reader(cmd.InOrStdin())
	if f.input != "-" {
		file, err := os.Open(f.input)
		if err != nil {
			return usererr.New("--input: %w", err)
		}
		defer file.Close()
		in = file
	}
	out := cmd.OutOrStdout()
	if f.output != "" {
		file, err := os.OpenFile(f.output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return usererr.New("--output: %w; nothing is overwritten", err)
		}
		defer func() { err = cmp.Or(err, file.Close()) }()
		out = file
	}
	reader, model, err := openReader(f.model, f.backend, f.options)
	if err != nil {
		return err
	}
	return answerAll(cmd.Context(), reader, model, in, out)
}

// answerAll answers line by line; memory does not grow with the input.
func answerAll(ctx context.Context, reader *tasks.Reader, model training.Pretrained, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	buffered := bufio.NewWriter(out)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil || (q.Text == nil) == (q.IDs == nil) {
			return usererr.New(`--input, line %d: write {"text": "…"} or {"ids": [2, 17, …]}, not %.60q`, n, lines.Text())
		}
		a, err := answerOne(ctx, reader, model, q)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := json.NewEncoder(buffered).Encode(a); err != nil {
			return fmt.Errorf("write the answers: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return usererr.New("--input: %w", err)
	}
	return buffered.Flush()
}

func answerOne(ctx context.Context, reader *tasks.Reader, model training.Pretrained, q question) (a answer, err error) {
	var readings []tasks.Reading
	if q.Text != nil {
		readings, err = reader.Texts(ctx, *q.Text)
	} else {
		readings, err = reader.Rows(ctx, q.IDs)
	}
	if err != nil {
		return a, err
	}
	r := readings[0]
	a = answer{IDs: r.IDs, Tokens: []string{}, RTDLogits: r.RTDLogits, Hidden: r.Hidden}
	if a.IDs == nil {
		a.IDs = []int32{}
	}
	for _, id := range r.IDs {
		a.Tokens = append(a.Tokens, model.Tokenizer.Token(id))
	}
	for _, z := range r.RTDLogits {
		a.RTDProb = append(a.RTDProb, 1/(1+math.Exp(-float64(z))))
	}
	named := func(lists [][]tasks.Guess) (named [][]guessLine) {
		for _, list := range lists {
			var line []guessLine
			for _, g := range list {
				line = append(line, guessLine{model.Tokenizer.Token(g.ID), g.ID, g.Prob})
			}
			named = append(named, line)
		}
		return named
	}
	a.Corrections, a.Generator = named(r.Corrections), named(r.Generator)
	return a, nil
}
