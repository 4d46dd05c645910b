// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/hf"
	"metrolab/metro/weights"
	"metrolab/viz/table"
)

// growFlags choose a model, what it grows to and how.
type growFlags struct {
	model, out, corpus, backend string
	set                         []string
	options                     grow.Options
	experts                     int
	approximate                 bool
}

func growCommand() *cobra.Command {
	var f growFlags
	cmd := &cobra.Command{
		Use:   "grow",
		Short: "Make a larger model of a trained one, wider or deeper, and say what of its function stays",
		Long: `Copies the weights of a trained model into a wider or deeper one, from which pretraining goes on with --init-from. What --set does
not say follows: heads keep their size, inner widths and the generator grow with the main model, and the logits of heads that
are tied to the token table are scaled back (embeddings.output_scale). --set generator.width=64 keeps the generator as wide as it is.

A width that is a multiple keeps the function (bert2BERT's FPI). Copies then stay equal for ever in a model without dropout, as
METRO's are; --noise 0.1 tells them apart without a change of the function. --width aki takes the copies from the layer above
instead, and gives the function up. --depth stack repeats layers as 0 1 0 1, interpolate as 0 0 1 1, and zero, under pre-LN
alone, adds layers that do nothing yet.

--experts 4 makes four copies of each feed-forward map of the main model, and a gate that sends each token to two of them (sparse
upcycling): the function stays where every token finds a slot. Their settings are main.feed_forward_options.NAME.

The receipt compares both models on 16 texts that neither was trained on: the largest differences of states and logits, whether
gradients can tell copies apart, and the ranks of the matrices that grew. The folder is a pair as metro export writes it, which
holds nothing of an optimizer: that starts anew. A run may grow what it begins with itself, as an arm of a study say, and then take
over the moments too: --set growth.width=fpi, and what else metro recipe show lists below growth.`,
		Example: `  metro grow --model runs/tiny-0123456789 --set main.width=128 --noise 0.1 --out grown
  metro grow --model runs/tiny-0123456789 --set main.width=128 --set main.layers=4 --depth interpolate --out grown
  metro grow --model runs/tiny-0123456789 --experts 4 --out experts
  metro pretrain --recipe tiny --init-from grown`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return growModel(cmd, f) },
	}
	addModelFlag(cmd, &f.model)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "what the model grows to, path=value: main.width, main.layers, generator.width, …; repeat for more")
	flags.StringVar(&f.out, "out", "", "folder to write; it must not be there yet")
	flags.StringVar(&f.options.Width, "width", grow.WidthFPI, "what copies of coordinates are at first: fpi, the layer's own, or aki, those of the layer above")
	flags.StringVar(&f.options.Depth, "depth", grow.DepthStack, "which layers are repeated: stack, interpolate or zero")
	flags.Float64Var(&f.options.Noise, "noise", 0, "noise that tells copies apart and adds up to nothing, in parts of the weights' standard deviation")
	flags.BoolVar(&f.options.RestartGenerator, "restart-generator", false, "draw the generator's own weights anew")
	flags.Int64Var(&f.options.Seed, "seed", 0, "of the noise, and of a generator that starts anew")
	flags.BoolVar(&f.approximate, "approximate", false, "write a model whose width is no multiple, and whose function is kept only nearly")
	flags.StringVar(&f.corpus, "corpus", "", "text for the receipt; the model's training text if not given")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.IntVar(&f.experts, "experts", 0, "make as many experts of each feed-forward map of the main model, two for a token, with slots for all in evaluation")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	cmd.MarkFlagsOneRequired("set", "experts")
	return cmd
}

func growModel(cmd *cobra.Command, f growFlags) error {
	if cmd.Flags().Changed("experts") && f.experts < 1 {
		return usererr.New("--experts is %d; a map becomes 1 and more", f.experts)
	}
	m, err := openRemade(f.model, f.out)
	if err != nil {
		return err
	}
	defer m.source.Close()
	if e, had := m.Model.Config.Experts(metro.OwnerMain); had && f.experts > 0 {
		return usererr.New("%s has experts, which are not grown: %d of each feed-forward map; leave --experts out, or name the dense model that it was made of", f.model, e.Router.Experts)
	}
	to, err := f.target(m.Model.Config)
	if err == nil {
		err = f.needGenerator(m.source)
	}
	if err != nil {
		return err
	}
	large, err := grow.Grow(m.source, to, f.options)
	if err != nil {
		return err
	}
	rows, be, err := m.compared(cmd.Context(), f.corpus, f.backend)
	if err != nil {
		return err
	}
	receipt, err := during("comparing the models", func() (grow.Receipt, error) { return grow.Inspect(be, large, rows) })
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	printReceipt(w, m.source, large, f.options, receipt)
	if uneven := grow.Inexact(m.Model.Config, to); len(uneven) > 0 && !f.approximate {
		return usererr.New("nothing was written: %s, and the function is kept only nearly, as the table says; take a multiple, or give --approximate", uneven[0])
	}
	if err := m.write(w, f.out, large, hf.Export); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ngrown: %s\nnext:  metro pretrain --recipe NAME --init-from %s\n", f.out, f.out)
	return nil
}

// target is what the model grows to: a setting that is no size, and an option that would do nothing, are the user's error.
func (f growFlags) target(from metro.Config) (metro.Config, error) {
	for _, a := range f.set {
		if path, _, _ := strings.Cut(a, "="); !grow.Changes(strings.TrimSpace(path)) {
			return from, usererr.New("another %s is no growth; what grows is %s", strings.TrimSpace(path), strings.Join(grow.Sizes, ", "))
		}
	}
	to, err := grow.Target(from, f.assignments()...)
	if err != nil {
		return to, err
	}
	return to, f.options.Idle(from, to)
}

// needGenerator is the user's error if something is said of the generator and src has none.
func (f growFlags) needGenerator(src weights.Source) error {
	var said []string
	for _, a := range f.set {
		if strings.HasPrefix(strings.TrimSpace(a), string(metro.OwnerGenerator)+".") {
			said = append(said, a)
		}
	}
	if f.options.RestartGenerator {
		said = append(said, "--restart-generator")
	}
	if len(said) == 0 || hasGenerator(src) {
		return nil
	}
	return usererr.New("%s holds no generator, so that %s would do nothing; leave it out, or name the folder of the pair", f.model, strings.Join(said, " and "))
}

// hasGenerator reports whether src has weights that the generator alone reads.
func hasGenerator(src weights.Source) bool {
	return slices.ContainsFunc(weights.All(src), func(w metro.Weight) bool { return w.ByGenerator && !w.ByMain })
}

// assignments are those of --set and, with --experts, those that it stands for, as far as --set does not say otherwise.
func (f growFlags) assignments() []string {
	if f.experts == 0 {
		return f.set
	}
	said := func(path string) bool {
		return slices.ContainsFunc(f.set, func(a string) bool { return strings.HasPrefix(strings.TrimSpace(a), path) })
	}
	const options = "main.feed_forward_options."
	set := append([]string{"main.feed_forward=" + metro.FeedForwardExperts, fmt.Sprint(options+"experts=", f.experts)}, f.set...)
	if !said(options + "top_k") {
		set = append(set, fmt.Sprint(options+"top_k=", min(2, f.experts)))
	}
	if !said(options + "evaluation_capacity") {
		set = append(set, options+"evaluation_capacity=0")
	}
	return set
}

// printReceipt prints what a growth has done.
func printReceipt(w io.Writer, from, to weights.Source, o grow.Options, r grow.Receipt) {
	small, large := from.Model(), to.Model()
	printTable(w, sizeTable(from, to))
	fmt.Fprintln(w)
	printTable(w, differenceTable(r.Outputs))
	if len(r.Ranks) > 0 {
		fmt.Fprintln(w)
		printTable(w, rankTable(r.Ranks))
	}
	fmt.Fprintln(w)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "the function is not kept: %s\n", note)
	}
	if !r.Keeps() {
		return
	}
	fmt.Fprintln(w, "the function is kept, to the rounding of float32")
	if f, ok := large.Config.Experts(metro.OwnerMain); ok && f.Router.TrainingCapacity > 0 {
		fmt.Fprintf(w, "in training, tokens that find no slot pass their layer as they are (capacity %g)\n", f.Router.TrainingCapacity)
	}
	wider := small.Config.Main.Width != large.Config.Main.Width
	switch {
	case math.IsNaN(r.Gradient) || !wider:
	case r.Gradient > 1e-3 || o.Noise > 0:
		fmt.Fprintf(w, "gradients tell copies apart, by up to %.1g of a tensor's largest\n", r.Gradient)
	default:
		fmt.Fprintln(w, "gradients are those of the smaller model, divided among copies: these will stay equal in training without dropout,")
		fmt.Fprintln(w, "and the model can do no more than the smaller one; --noise 0.1 tells them apart")
	}
}

// sizeTable has a row for each size that has changed.
func sizeTable(from, to weights.Source) table.Table {
	small, large := from.Model(), to.Model()
	t := table.Table{Columns: []table.Column{{Name: "size"}, {Name: "from", Align: table.Right}, {Name: "to", Align: table.Right}}}
	add := func(name string, from, to int) {
		if from != to {
			t.Rows = append(t.Rows, []any{name, from, to})
		}
	}
	encoder := func(name string, from, to metro.Encoder) {
		add(name+".layers", from.Layers, to.Layers)
		add(name+".width", from.Width, to.Width)
		add(name+".heads", from.Heads, to.Heads)
		add(name+".ffn", from.FFN, to.FFN)
	}
	count := func(src weights.Source) (all, active int) {
		inv := weights.All(src)
		return inv.Count(), src.Model().Config.Active(inv)
	}
	experts := func(reader metro.Owner) {
		if f, ok := large.Config.Experts(reader); ok {
			add(string(reader)+" model's maps of a layer", 1, f.Router.Experts)
		}
	}
	encoder("main", small.Config.Main, large.Config.Main)
	if hasGenerator(from) {
		encoder("generator", small.Config.Generator, large.Config.Generator)
	}
	add("width of the tables", small.Config.EmbeddingWidth(), large.Config.EmbeddingWidth())
	experts(metro.OwnerMain)
	experts(metro.OwnerGenerator)
	before, activeBefore := count(from)
	now, active := count(to)
	add("weights", before, now)
	if active != now {
		add("weights that a token meets", activeBefore, active)
	}
	return t
}

// rankTable has a row for each kind of matrix, with the least and the greatest rank over layers.
func rankTable(ranks []grow.Rank) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "matrix"}, {Name: "how many", Align: table.Right}, {Name: "rank", Align: table.Right}, {Name: "grown", Align: table.Right}, {Name: "can be", Align: table.Right}}}
	layer := regexp.MustCompile(`layer_\d+\.`)
	var kinds []string
	of := map[string][]grow.Rank{}
	for _, r := range ranks {
		kind := strings.TrimSuffix(layer.ReplaceAllString(r.Tensor, ""), ".weights")
		if of[kind] == nil {
			kinds = append(kinds, kind)
		}
		of[kind] = append(of[kind], r)
	}
	span := func(list []grow.Rank, get func(grow.Rank) int) string {
		low, high := get(list[0]), get(list[0])
		for _, r := range list {
			low, high = min(low, get(r)), max(high, get(r))
		}
		if low == high {
			return fmt.Sprint(low)
		}
		return fmt.Sprintf("%d–%d", low, high)
	}
	for _, kind := range kinds {
		list := of[kind]
		t.Rows = append(t.Rows, []any{
			kind, len(list), span(list, func(r grow.Rank) int { return r.Before }), span(list, func(r grow.Rank) int { return r.Now }),
			span(list, func(r grow.Rank) int { return r.Can }),
		})
	}
	return t
}
