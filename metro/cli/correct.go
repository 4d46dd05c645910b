// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
)

func correctCommand() *cobra.Command {
	var model, engine string
	var threshold float64
	cmd := &cobra.Command{
		Use:   "correct [TEXT]",
		Short: "Mark the words of a text that look wrong, with the model's correction beside them",
		Long: `Prints the text with each suspicious word marked: [word 93 % → correction], without an arrow where the model has no
better word. The probability is that the word was
replaced, from the detector; the correction is the corrective head's or, in a model without one, the generator's. Without TEXT
the standard input is read. It is what the models learn in pretraining, shown on a sentence of one's own: expect little of a
model that was trained for a minute.`,
		Example: `  metro correct --model runs/tiny-0123456789 "Close returns an errand if the file is already closed."
  metro correct --model runs/tiny-0123456789 --threshold 0.2 < letter.txt`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if !(threshold > 0 && threshold < 1) {
				return usererr.New("--threshold must be between 0 and 1, it is %g", threshold)
			}
			text := strings.Join(given, "")
			if len(given) == 0 {
				read, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 16<<20))
				if err != nil {
					return fmt.Errorf("read the text: %w", err)
				}
				text = string(read)
			}
			reader, _, err := openReader(model, engine, tasks.ReaderOptions{})
			if err != nil {
				return err
			}
			words, err := reader.Correct(cmd.Context(), text, threshold)
			if err != nil {
				return err
			}
			printCorrections(cmd.OutOrStdout(), text, words)
			return nil
		},
	}
	addModelFlag(cmd, &model)
	cmd.Flags().StringVar(&engine, "backend", "auto", "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so")
	cmd.Flags().Float64Var(&threshold, "threshold", 0.5, "mark words that are more likely than this to be wrong")
	return cmd
}

// printCorrections prints text with its suspicious words marked, in colour on a terminal, and their number.
func printCorrections(w io.Writer, text string, words []tasks.Word) {
	wrong, right, plain := "", "", ""
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" {
		wrong, right, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
	}
	at, marked := 0, 0
	for _, word := range words {
		if word.Correction == "" {
			continue
		}
		marked++
		fmt.Fprintf(w, "%s[%s%s%s %.0f %%", text[at:word.Span.Start], wrong, word.Text, plain, 100*word.Prob)
		if !strings.EqualFold(word.Correction, word.Text) { // the model may suspect a word and have none better
			fmt.Fprintf(w, " → %s%s%s", right, word.Correction, plain)
		}
		fmt.Fprint(w, "]")
		at = word.Span.End
	}
	fmt.Fprint(w, text[at:])
	if !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(os.Stderr, "%d of %d words are marked\n", marked, len(words))
}
