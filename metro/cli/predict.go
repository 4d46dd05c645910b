// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"metrolab/internal/jsonlines"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
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
last layer. What the model has no head for is left out. Blank lines and other fields are passed over.

A text of any length is read in overlapping windows. [MASK] in it is the mask; text that spells another special token, such
as [SEP], is unknown to the model, as it was in training. Ids are read as they are, special tokens included. The model is a
run or a Hugging Face ELECTRA or BERT folder; one without a tokenizer reads ids alone, and its answers have no tokens.

--exit 0.95 asks the detector alone, and lets a token leave it at the first layer whose RTD head is 0.95 sure, that it was replaced or
that it was not; exit_layers says which that was. The model is one that was trained by objective.name=rtd_clm_exits. A batch is computed
up to the layer behind which all its tokens have left or, with --exit-share, that part of them: only whole layers save time. At the end
the command says how deep tokens went, which is theoretical, how many layers were computed, and what that took of the time that all layers
take, measured in turns on the first texts. Above 1 no token leaves early.

The lines of a file, which gzip or zstd may have packed, are asked several at once; those of - are answered one by one, as they come.
Each answer is written when it is there. If the command ends early, at a line that cannot be read, on a full disk, or by
Ctrl-C, it says how many lines are answered. FILE of --output gets its name when all are, and is never overwritten; until
then the answers are in a temporary file, and after an early end in FILE.partial.`,
		Example: `  metro predict --model runs/tiny-0123456789 --input texts.jsonl > answers.jsonl
  echo '{"text": "the reader [MASK] the file"}' | metro predict --model runs/tiny-0123456789 --input - --top-k 5
  metro predict --model runs/tiny-0123456789 --input texts.jsonl --exit 0.95 --exit-share 0.9 > answers.jsonl`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return predict(cmd, f) },
	}
	flags := cmd.Flags()
	addModelFlag(cmd, &f.model)
	flags.StringVar(&f.input, "input", "", "JSON lines; - is the standard input")
	flags.StringVar(&f.output, "output", "-", "file to write, which must not be there yet; - is the standard output")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.IntVar(&f.options.TopK, "top-k", 1, "guesses a token")
	flags.BoolVar(&f.options.Hidden, "hidden", false, "write the states of the last layer too")
	flags.Float64Var(&f.options.Exit, "exit", 0, "let tokens leave the detector at the first RTD head that is as sure, such as 0.95")
	flags.Float64Var(&f.options.Share, "exit-share", 1, "with --exit, stop a batch when this part of its tokens has left")
	if err := cmd.MarkFlagRequired("input"); err != nil {
		panic(err)
	}
	return cmd
}

// addModelFlag adds the required --model.
func addModelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", "", "folder of a run, RUN@STEP for its checkpoint of a step, or a Hugging Face folder")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
}

// openReader loads a model for reading texts or, if it has no tokenizer, ids, and says what it passed over.
func openReader(model, engine string, o tasks.ReaderOptions) (*tasks.Reader, training.Pretrained, error) {
	p, err := during("reading the model", func() (training.Pretrained, error) { return training.LoadModel(model) })
	if err != nil {
		return nil, p, err
	}
	for _, note := range p.Notes {
		fmt.Fprintln(stderr, note)
	}
	be, err := during("loading the backend", func() (compute.Backend, error) { return workspace.OpenBackend(engine) })
	if err != nil {
		return nil, p, err
	}
	info := backend.Describe(be)
	if err := onOneDevice(info.Divided); err != nil {
		return nil, p, err
	}
	fmt.Fprintln(stderr, info)
	r, err := tasks.NewReader(be, p, o)
	return r, p, err
}

func predict(cmd *cobra.Command, f predictFlags) error {
	if f.options.TopK < 1 {
		return usererr.New("--top-k must be 1 or more, it is %d", f.options.TopK)
	}
	switch flags := cmd.Flags(); {
	case flags.Changed("exit") && !(f.options.Exit > 0):
		return usererr.New("--exit must be above 0, it is %g; tokens leave at the first head at 0.5 and less, and none does above 1", f.options.Exit)
	case flags.Changed("exit-share") && !flags.Changed("exit"):
		return usererr.New("--exit-share is about early exits; it needs --exit")
	}
	in := cmd.InOrStdin()
	if f.input != "-" {
		file, err := os.Open(f.input)
		if err != nil {
			return usererr.New("--input: %w", err)
		}
		defer file.Close()
		bar := newBar("predicting")
		defer bar.finish()
		in = watched(file, bar, isTerminal(cmd.OutOrStdout()) && f.output == "-")
	}
	out, err := openAnswers(f.output, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	reader, model, err := openReader(f.model, f.backend, f.options)
	if err == nil {
		err = answerAll(cmd.Context(), reader, model, f, in, out)
	}
	if err = out.close(err); err != nil || f.options.Exit == 0 {
		return err
	}
	return sayExits(reader)
}

// sayExits says what early exits have saved: of layers, in theory and in batches, and of time.
func sayExits(reader *tasks.Reader) error {
	e := reader.Exits()
	if e.Tokens == 0 {
		return nil
	}
	fmt.Fprintf(stderr, "mean depth %.2f of %d layers: %.1f %% of all token-layers, which is theoretical; computed were %.1f %% of all layers, in %d batches\n",
		e.MeanDepth(), e.Layers, 100*e.Theoretical(), 100*e.Computed(), e.Batches)
	ratios, err := during("timing early exits", reader.TimeExits)
	if err != nil || len(ratios) == 0 {
		return err
	}
	fmt.Fprintf(stderr, "measured time: %.2f of that of all layers (median of %d rounds in turns, %.2f to %.2f)\n",
		ratios[len(ratios)/2], len(ratios), ratios[0], ratios[len(ratios)-1])
	return nil
}

// watched reads a file and moves a bar with it, unless that would stand between what is printed.
func watched(file *os.File, b *bar, printed bool) io.Reader {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || printed {
		return file
	}
	return &watchedFile{file, b, 0, int(info.Size())}
}

type watchedFile struct {
	*os.File
	bar        *bar
	read, size int // bytes
}

func (w *watchedFile) Read(p []byte) (int, error) {
	if w.read > 0 { // what was read before is answered, but for a buffer's length
		w.bar.set(w.read, w.size)
	}
	n, err := w.File.Read(p)
	w.read += n
	return n, err
}

// answerAll answers each line of the file of that name; memory does not grow with it. Lines of a file are asked several at once. Those
// of a stream are not, since who writes to it may wait for each answer, and neither are lines with early exits, which depend on
// what they are asked with.
func answerAll(ctx context.Context, reader *tasks.Reader, model training.Pretrained, f predictFlags, in io.Reader, out *answers) error {
	in, err := packed.NewReader(f.input, interruptible(ctx, in))
	if err != nil {
		return err
	}
	a := asking{reader: reader, model: model, out: out, atOnce: 1}
	if f.input != "-" && f.options.Exit == 0 {
		a.atOnce = askedAtOnce
	}
	for line, err := range jsonlines.Lines(in) {
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("before %w", err)
		}
		var q question
		if err != nil {
			err = usererr.New("--input, %w", err)
		} else if e := line.Decode(&q); e != nil || (q.Text == nil) == (q.IDs == nil) {
			err = usererr.New(`--input, line %d: write {"text": "…"} or {"ids": [2, 17, …]}, not %.60q`, line.Number, line.Text)
		}
		if err != nil {
			return cmp.Or(a.flush(ctx), err)
		}
		if err := a.add(ctx, line.Number, q); err != nil {
			return err
		}
	}
	return a.flush(ctx)
}

// askedAtOnce is how many lines wait for each other: some batches of a reader, so that the last one of them is seldom half empty.
const askedAtOnce = 32

// longText is the length in bytes of a text that fills batches on its own, and does not wait.
const longText = 16 << 10

// asking gathers questions of one kind, which are asked together.
type asking struct {
	reader    *tasks.Reader
	model     training.Pretrained
	out       *answers
	atOnce    int
	lines     []int
	questions []question
}

// add asks a question, or has it wait for others.
func (a *asking) add(ctx context.Context, line int, q question) error {
	if len(a.questions) > 0 && (a.questions[0].Text == nil) != (q.Text == nil) {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	a.lines, a.questions = append(a.lines, line), append(a.questions, q)
	if len(a.questions) < a.atOnce && (q.Text == nil || len(*q.Text) < longText) {
		return nil
	}
	return a.flush(ctx)
}

// flush asks what waits.
func (a *asking) flush(ctx context.Context) error {
	lines, questions := a.lines, a.questions
	a.lines, a.questions = nil, nil
	if len(questions) == 0 {
		return nil
	}
	return a.answer(ctx, lines, questions)
}

// answer writes the answers to the questions of some lines. If they cannot be answered together, each is asked alone, as far as it
// goes, so that the error is of its line.
func (a *asking) answer(ctx context.Context, lines []int, questions []question) error {
	readings, err := ask(ctx, a.reader, questions)
	if err != nil && (len(questions) == 1 || ctx.Err() != nil) {
		return fmt.Errorf("at line %d: %w", lines[0], err)
	}
	if err != nil {
		for i := range questions {
			if err := a.answer(ctx, lines[i:i+1], questions[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	for i, r := range readings {
		if err := a.out.write(lines[i], answerOf(r, a.model)); err != nil {
			return err
		}
	}
	return nil
}
