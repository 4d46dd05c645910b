// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/hlo"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func compileCommand() *cobra.Command {
	var target, recipe string
	var set []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compile",
		Short: "Compile a recipe's training step for a GPU that need not be there, and say what it will take",
		Long: `Compiles the training step of a recipe for a GPU by XLA's own compiler, on this machine, which needs neither a GPU nor a
driver, and prints what came out: peak memory, kernels, the matrix products by precision, scatters whose order is left to chance
(runs are then not equal bit for bit), sorts, the bytes that kernels read and write, and the roof: the shortest time that the step
can take on that chip,

  roof = Σ over kernels of max(Σ over products of FLOP/peak, bytes/bandwidth)
  MFU ceiling = FLOP of the model's products / (roof × the chip's peak in bfloat16)

No run will reach the roof: it has kernels at the chip's peaks, and no time between them. Without the device, XLA chooses the
tiles of its matrix products by a model of the chip, and not by timing them.

Products are of float32 in full unless training.matmul says tf32 or bfloat16; training.deterministic=true asks XLA for kernels that
give equal bits. Of a config with training.prefix_steps, the step of the whole model is compiled. It takes what ./scripts/setup --cuda installs. A large recipe takes minutes, and some gigabytes of memory.`,
		Example: `  metro compile --target h100 --recipe micro
  metro compile --target h100 --recipe electra-small --set training.matmul=tf32 --set training.deterministic=true
  metro compile --target a100 --recipe metro-base --set data.seq_len=128 --set training.matmul=bfloat16 --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, c, err := recipeWith(recipe, set)
			if err != nil {
				return err
			}
			if err := c.Validate(); err != nil {
				return err
			}
			r, err := compileStep(cmd.Context(), target, c)
			if err != nil {
				return err
			}
			r.Recipe, r.Set = recipe, set
			if !asJSON {
				r.print(cmd.OutOrStdout())
				return nil
			}
			text, err := json.MarshalIndent(r, "", "  ")
			fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	}
	cmd.Flags().StringVar(&target, "target", "h100", "GPU to compile for: h100, h200 or a100")
	cmd.Flags().StringVar(&recipe, "recipe", "tiny", "recipe to start from; see metro recipe list")
	cmd.Flags().StringArrayVar(&set, "set", nil, "change a field, path=value; repeat for more; metro recipe show lists the paths")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

// compilation is what a recipe's training step was compiled to.
type compilation struct {
	Recipe  string      `json:"recipe"`
	Set     []string    `json:"set,omitempty"`
	Target  string      `json:"target"`
	GPU     backend.GPU `json:"gpu"`
	Plugin  string      `json:"plugin"`
	Metro   string      `json:"metro"`
	Rows    int         `json:"rows"`
	Length  int         `json:"length"`
	Vocab   int         `json:"vocab"`
	Config  *float64    `json:"config_flop,omitempty"` // operations of the model's products, each once, as the config says them; nil if it cannot
	Graphs  []compiled  `json:"graphs"`
	Step    hlo.Counts  `json:"step"` // of all graphs, as often as a step runs them
	Ceiling float64     `json:"mfu_ceiling"`
}

// compiled is what a graph of a step was compiled to.
type compiled struct {
	Graph   string               `json:"graph"`
	Times   int                  `json:"times"`           // that a step runs it
	Seconds float64              `json:"compile_seconds"` // of wall time
	Memory  backend.DeviceMemory `json:"memory"`
	Counts  hlo.Counts           `json:"counts"`
}

// compileStep compiles the step of c for target. The compiler cannot be stopped: if ctx ends, it is left behind.
func compileStep(ctx context.Context, target string, c metro.Config) (compilation, error) {
	bar := newBar("compiling for " + target)
	defer bar.finish()
	type outcome struct {
		compilation
		error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := compileGraphs(target, c, bar)
		done <- outcome{r, err}
	}()
	select {
	case o := <-done:
		return o.compilation, o.error
	case <-ctx.Done():
		return compilation{}, ctx.Err()
	}
}

func compileGraphs(target string, c metro.Config, bar *bar) (r compilation, err error) {
	ahead, err := backend.OpenAhead(target, backend.Needs(training.NeedsOf(c)), false)
	if err != nil {
		return r, err
	}
	gpu := ahead.GPU
	chip := hlo.Chip{Bandwidth: gpu.Bandwidth, Peak: map[hlo.Precision]float64{
		hlo.InBFloat16: gpu.BFloat16, hlo.InTF32: gpu.TF32, hlo.InFloat32: gpu.Float32,
	}}
	r = compilation{
		Target: target, GPU: gpu, Plugin: ahead.Plugin(), Metro: version(),
		Rows: c.Training.BatchSize, Length: c.Data.SeqLen, Vocab: c.Data.VocabSize,
	}
	once := c
	once.Training.ActivationCheckpointing = false
	if flops, err := once.FLOPs(r.Vocab); err == nil {
		total := flops.Total()
		r.Config = &total
	}
	bar.wait("building and compiling the step")
	err = training.CompileStep(ahead.Backend, training.NewPretraining(modelOfSizes(c)), func(name string, times int) error {
		list, err := ahead.Compiled()
		if err != nil {
			return err
		}
		for _, program := range list {
			module, err := hlo.Read(program.Program)
			if err != nil {
				return err
			}
			counts, err := module.Count(chip)
			if err != nil {
				return fmt.Errorf("counting the graph %q: %w", name, err)
			}
			r.Graphs = append(r.Graphs, compiled{name, times, program.Time.Seconds(), program.Memory, counts})
			r.Step = r.Step.Plus(counts.Times(times))
		}
		return nil
	})
	if r.Step.Seconds > 0 {
		r.Ceiling = r.useful() / (r.Step.Seconds * gpu.BFloat16)
	}
	return r, err
}

// useful are the operations of the model's products. The program has more where it computes some twice, as checkpointing does,
// or multiplies where a look-up would do.
func (r compilation) useful() float64 {
	if r.Config != nil {
		return *r.Config
	}
	return r.Step.FLOPs()
}

// modelOfSizes is the model of c without a text: a vocabulary of the size that c asks for, and frequencies as words have them. What the
// tokens are written with changes no size.
func modelOfSizes(c metro.Config) metro.Model {
	m := metro.Model{Config: c, Vocab: c.Data.VocabSize}
	m.LogUnigram, m.LogUniform, m.Spelling.Bytes = make([]float32, m.Vocab), make([]float32, m.Vocab), make([][]byte, m.Vocab)
	for i := range m.LogUnigram {
		m.LogUnigram[i] = float32(-math.Log(float64(i + 1)))
	}
	return m
}

func (r compilation) print(w io.Writer) {
	fmt.Fprintf(w, "%s for %s, %s\n%d rows of %d tokens, a vocabulary of %s\nmetro %s\nplugin %s\n\n", strings.Join(append([]string{r.Recipe}, r.Set...), " "),
		r.Target, r.GPU.Model, r.Rows, r.Length, humanize.Comma(int64(r.Vocab)), r.Metro, r.Plugin)
	printTable(w, r.table())
	rate := func(x float64) string { return humanize.SIWithDigits(x, 1, "FLOP/s") }
	fmt.Fprintln(w, "\nroof = Σ over kernels of max(Σ over products of FLOP/peak, bytes/bandwidth)")
	fmt.Fprintf(w, "peaks: %s in bfloat16, %s in TF32, %s in float32; bandwidth: %s\n", rate(r.GPU.BFloat16), rate(r.GPU.TF32),
		rate(r.GPU.Float32), humanize.SIWithDigits(r.GPU.Bandwidth, 2, "B/s"))
	fmt.Fprintf(w, "MFU ceiling = %s / (%s × %s) = %s\n", humanize.SIWithDigits(r.useful(), 2, "FLOP"), milliseconds(r.Step.Seconds),
		rate(r.GPU.BFloat16), share(r.Ceiling))
	if r.Config != nil {
		fmt.Fprintf(w, "the products of the model are %s by its config, and %s in what was compiled\n", humanize.SIWithDigits(*r.Config, 2, "FLOP"), humanize.SIWithDigits(r.Step.FLOPs(), 2, "FLOP"))
	}
	if r.Step.Loops > 0 {
		fmt.Fprintf(w, "%d loops, whose number of turns is not known, are counted as one turn\n", r.Step.Loops)
	}
}

// table is a column a graph and, where these are several, one for the whole step.
func (r compilation) table() table.Table {
	t := table.Table{Columns: []table.Column{{Name: "graph"}}}
	counts := []hlo.Counts{}
	for _, g := range r.Graphs {
		t.Columns = append(t.Columns, table.Column{Name: g.Graph, Align: table.Right})
		counts = append(counts, g.Counts)
	}
	if len(r.Graphs) > 1 {
		t.Columns = append(t.Columns, table.Column{Name: "a step", Align: table.Right})
		counts = append(counts, r.Step)
	}
	graphs := func(name string, cell func(compiled) any) {
		row := []any{name}
		for _, g := range r.Graphs {
			row = append(row, cell(g))
		}
		if len(r.Graphs) > 1 {
			row = append(row, nil)
		}
		t.Rows = append(t.Rows, row)
	}
	all := func(name string, cell func(hlo.Counts) any) {
		row := []any{name}
		for _, c := range counts {
			row = append(row, cell(c))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(r.Graphs) > 1 {
		graphs("times a step", func(g compiled) any { return g.Times })
	}
	graphs("compiled in", func(g compiled) any { return fmt.Sprintf("%.1f s", g.Seconds) })
	graphs("peak memory", func(g compiled) any { return size(g.Memory.Peak) })
	graphs("of which arguments", func(g compiled) any { return size(g.Memory.Arguments) })
	graphs("outputs", func(g compiled) any { return size(g.Memory.Outputs) })
	graphs("outputs written over arguments", func(g compiled) any { return size(g.Memory.Aliases) })
	graphs("temporary", func(g compiled) any { return size(g.Memory.Temporary) })
	all("kernels", func(c hlo.Counts) any { return c.Kernels })
	for _, p := range r.Step.Precisions() {
		all("products in "+p.Words(), func(c hlo.Counts) any {
			return fmt.Sprintf("%d, %s", c.Products[p].Count, humanize.SIWithDigits(c.Products[p].FLOPs, 2, "FLOP"))
		})
	}
	all("atomic scatters", func(c hlo.Counts) any { return c.Atomic })
	all("sorts", func(c hlo.Counts) any { return c.Sorts })
	all("read and written", func(c hlo.Counts) any { return size(int64(c.Bytes)) })
	all("roof", func(c hlo.Counts) any { return milliseconds(c.Seconds) })
	return t
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.4g ms", seconds*1e3) }

func share(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// targets completes the names of GPUs.
func targets(*cobra.Command, []string, string) (names []string) {
	for _, g := range backend.GPUs() {
		names = append(names, g.Name)
	}
	return names
}
