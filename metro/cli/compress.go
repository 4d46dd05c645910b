// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"metrolab/metro/compress"
	"metrolab/metro/hf"
	"metrolab/metro/outputs"
	"metrolab/metro/weights"
	"metrolab/viz/table"
)

// compressFlags choose a model and what becomes of low rank.
type compressFlags struct {
	model, out, corpus, backend string
	options                     compress.Options
	experts                     int
}

func compressCommand() *cobra.Command {
	var f compressFlags
	cmd := &cobra.Command{
		Use:   "compress",
		Short: "Make chosen matrices of a trained model of low rank, and say what that changes",
		Long: `Approximates matrices of the main model: those of the feed-forward map of a layer, of its attention, or the token table. They are
stacked, as TRAWL does, and the stack is decomposed (cp, tucker); svd takes each matrix by itself, without which nothing is known
of what stacking does, and noise adds as much noise as cp leaves out. The weights are written whole again, in their shapes, as a pair
that metro export would write; how many numbers the factors are is printed.

--factors writes the factors in the place of the matrices, which makes the files smaller by what is printed. They are rounded to float32,
and what the receipt says is of their product. Every metro command multiplies them when it reads the folder; transformers does not,
and refuses it. metro export writes the matrices.

--experts 2 leaves two experts in each layer of a main model that has more: those that tokens of the validation split chose most. The
others are missed by whoever chose them, who go to the next best.

A model that is worth more when compressed is often the best of many that were tried: metro compress study tries
them, and scores on text that did not choose.`,
		Example: `  metro compress --model runs/tiny-0123456789 --target feed_forward --method cp --rank 16 --out smaller
  metro compress --model runs/tiny-0123456789 --target attention --layers last --method svd --rank 8 --out smaller
  metro compress --model runs/tiny-0123456789 --method cp --rank 16 --start random --seed 1 --out other
  metro compress --model runs/tiny-0123456789 --method svd --rank 8 --factors --out small
  metro compress --model experts --experts 2 --out fewer
  metro finetune --model smaller`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return compressModel(cmd, f) },
	}
	cmd.AddCommand(compressStudyCommand())
	addModelFlag(cmd, &f.model)
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "folder to write; it must not be there yet")
	flags.StringVar(&f.options.Method, "method", compress.MethodCP, strings.Join(compress.Methods, ", "))
	flags.StringVar(&f.options.Target, "target", compress.TargetFeedForward, strings.Join(compress.Targets, ", "))
	flags.StringVar(&f.options.Layers, "layers", "", "all, last, one such as 0, or some such as 0-2; all if not given")
	flags.BoolVar(&f.options.Across, "across", false, "one stack of all chosen layers, in the place of one each")
	flags.IntVar(&f.options.Rank, "rank", 0, "components (cp, noise), singular values (svd), or sizes of the core (tucker)")
	flags.BoolVar(&f.options.Normalise, "normalise", false, "divide each matrix of a stack by its norm first, and multiply by it afterwards")
	flags.StringVar(&f.options.Start, "start", "", strings.Join(compress.Starts, ", ")+"; what cp (and noise) begins with; hosvd if not given")
	flags.Int64Var(&f.options.Seed, "seed", 0, "of the noise and of a random start")
	flags.BoolVar(&f.options.Factors, "factors", false, "store the factors in the place of the matrices, which metro multiplies and transformers cannot read")
	flags.IntVar(&f.experts, "experts", 0, "keep as many experts of each layer, those most chosen, in the place of a decomposition")
	flags.StringVar(&f.corpus, "corpus", "", "text for the comparison; the model's training text if not given")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	cmd.MarkFlagsOneRequired("rank", "experts")
	for _, name := range []string{"method", "target", "layers", "across", "rank", "normalise", "start", "seed", "factors"} {
		cmd.MarkFlagsMutuallyExclusive("experts", name)
	}
	return cmd
}

func compressModel(cmd *cobra.Command, f compressFlags) error {
	if cmd.Flags().Changed("experts") {
		return pruneExperts(cmd, f)
	}
	m, err := openRemade(f.model, f.out)
	if err != nil {
		return err
	}
	defer m.source.Close()
	bar := newBar("compressing")
	low, parts, err := compress.Compress(cmd.Context(), m.source, f.options, bar.set)
	bar.finish()
	if err != nil {
		return err
	}
	rows, be, err := m.compared(cmd.Context(), f.corpus, f.backend)
	if err != nil {
		return err
	}
	differences, err := during("comparing the models", func() ([]outputs.Difference, error) { return compareOutputs(be, m.source, low, rows) })
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	printTable(w, partTable(parts))
	fmt.Fprintln(w)
	printTable(w, differenceTable(differences))
	fmt.Fprintf(w, "\nthe matrices are %.3g times as many numbers as the factors\n%s\n", compress.Ratio(parts), storedLine(f.options, parts))
	export := hf.Export
	if f.options.Factors {
		export = hf.ExportFactors
	}
	if err := m.write(w, f.out, low, export); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ncompressed: %s\n", f.out)
	return nil
}

// storedLine says what of the compressed matrices is written.
func storedLine(o compress.Options, parts []compress.Part) string {
	before, after := compress.Numbers(parts)
	if o.Factors {
		return fmt.Sprintf("stored: factors, %d numbers in place of %d; transformers cannot read them", after, before)
	}
	return fmt.Sprintf("stored: whole, %d numbers", before)
}

// compareOutputs runs two models of equal shapes.
func compareOutputs(be compute.Backend, before, after weights.Source, rows [][]int32) (list []outputs.Difference, err error) {
	a, err := outputs.Of(be, before, rows)
	if err != nil {
		return nil, err
	}
	b, err := outputs.Of(be, after, rows)
	if err != nil {
		return nil, err
	}
	for _, name := range a.Names {
		list = append(list, outputs.Compare(name, a.Values[name], b.Values[name]))
	}
	return list, nil
}

// partTable has a row for each stack.
func partTable(parts []compress.Part) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "stack"}, {Name: "shape", Align: table.Right}, {Name: "error", Align: table.Right}, {Name: "numbers", Align: table.Right}, {Name: "of factors", Align: table.Right}}}
	for _, p := range parts {
		name := strings.TrimSuffix(p.Tensors[0], ".weights")
		if n := len(p.Tensors); n > 1 {
			name += fmt.Sprintf(" and %d more", n-1)
		}
		t.Rows = append(t.Rows, []any{name, fmt.Sprintf("%d×%d×%d", p.Shape[0], p.Shape[1], p.Shape[2]), fmt.Sprintf("%.4f", p.Error), p.Before, p.After})
	}
	return t
}
