// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

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
the standard input is read, up to 16 MiB. It is what the models learn in pretraining, shown on a sentence of one's own: expect little of a
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
				var err error
				if text, err = readText(cmd.Context(), cmd.InOrStdin()); err != nil {
					return err
				}
			}
			if !utf8.ValidString(text) {
				return usererr.New("the text is not UTF-8, and its letters would be taken for others; save it as UTF-8, or convert it: iconv -f ENCODING -t UTF-8")
			}
			reader, _, err := openReader(model, engine, tasks.ReaderOptions{})
			if err != nil {
				return err
			}
			words, err := reader.Correct(cmd.Context(), text, threshold)
			if err != nil {
				return err
			}
			if marked := printCorrections(cmd.OutOrStdout(), text, words); marked == 0 {
				fmt.Fprint(stderr, wouldMark(words))
			}
			return nil
		},
	}
	addModelFlag(cmd, &model)
	cmd.Flags().StringVar(&engine, "backend", "auto", backendUsage)
	cmd.Flags().Float64Var(&threshold, "threshold", 0.5, "mark words that are more likely than this to be wrong")
	return cmd
}

// maxText is the longest text that is corrected at once, in bytes: what the model says of each token stands in memory.
const maxText = 16 << 20

// readText reads all of a text.
func readText(ctx context.Context, r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(interruptible(ctx, r), maxText+1))
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", usererr.New("read the text: %w", err)
	case len(text) > maxText:
		return "", usererr.New("the text is longer than %d bytes, which is as much as is corrected at once; give it in parts", maxText)
	}
	return string(text), nil
}

// printCorrections prints text with its suspicious words marked, in colour on a terminal, and returns their number, which it
// says.
func printCorrections(w io.Writer, text string, words []tasks.Word) (marked int) {
	wrong, right, plain := "", "", ""
	if isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		wrong, right, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
	}
	at := 0
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
	fmt.Fprintf(stderr, "%d of %d words are marked\n", marked, len(words))
	return marked
}

// wouldMark says which threshold would have marked the most suspicious words.
func wouldMark(words []tasks.Word) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w tasks.Word) bool { return w.Unknown })
	slices.SortStableFunc(words, func(a, b tasks.Word) int { return cmp.Compare(b.Prob, a.Prob) })
	var text strings.Builder
	for i, w := range words[:min(3, len(words))] {
		also := ""
		if i > 0 {
			also = "also "
		}
		fmt.Fprintf(&text, "--threshold %g would %smark %q, %.2g %%\n", below(w.Prob), also, w.Text, 100*w.Prob)
	}
	return text.String()
}

// below is a number of two digits that is less than p, in (0, 1), and not much less.
func below(p float64) float64 {
	scale := math.Pow(10, 2-math.Ceil(math.Log10(p)))
	return (math.Ceil(p*scale) - 1) / scale
}
