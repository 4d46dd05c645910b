// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/plan"
	"metrolab/metro/recipes"
	"metrolab/viz/table"
)

func planCommand() *cobra.Command {
	var f planFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a recipe takes on any number of devices: weights, memory by part, operations and days",
		Long: `Works out what training a recipe takes, up to the sizes of METRO-LM XXL, without compiling or running anything. With several
recipes, one a row, it compares them.

Weights, optimizer state, sums of gradients, averages and the batch are counted, and are those of the compiled step to the byte.
What a step needs besides, activations most of all, is an estimate: a model fitted to what XLA's compiler says of other shapes.
How near it comes is in docs/planning.md. metro compile asks the compiler itself.

Days are the operations of all steps, by the number of devices, their peak and --mfu, the part of that peak which the matrix
products reach. That part is for you to state: a step that metro bench has measured, or a guess below the ceiling of metro compile.
A step is one of the whole model; those of training.prefix_steps count among all steps, with the prefixes that the seed draws.

metrolab trains with a full replica on each device. --sharded plans as ZeRO would divide the state: optimizer (ZeRO-1), gradients
too (ZeRO-2), weights too (ZeRO-3). No command here trains like that.

metro-xl, metro-xxl-wide and metro-xxl-deep are guesses at METRO-LM's two largest models, whose shapes are not known. What they
lack is taken from metro-large++, and said.`,
		Example: `  metro plan --recipe metro-base --devices 8 --device h100 --mfu 0.4
  metro plan --recipe electra-small --device cpu --mfu 0.5
  metro plan --recipe metro-large++ --devices 256 --set training.matmul=bfloat16 --set training.activation_checkpointing=true
  metro plan --recipe metro-large++,metro-xxl-wide --devices 1024 --device b200 --memory 192GB --peak 2.25e15 --sharded weights --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			plans, err := f.plans()
			if err != nil {
				return err
			}
			if asJSON {
				text, err := json.MarshalIndent(plans, "", "  ")
				fmt.Fprintln(cmd.OutOrStdout(), string(text))
				return err
			}
			f.print(cmd.OutOrStdout(), plans)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.recipes, "recipe", []string{"metro-base"}, "recipes to plan, or sizes for planning; see metro recipe list")
	flags.StringArrayVar(&f.set, "set", nil, "change a field of all of them, path=value; repeat for more; metro recipe show lists the paths")
	flags.IntVar(&f.devices, "devices", 1, "devices that share the rows of a step")
	flags.StringVar(&f.device, "device", "h100", "kind of device: a100, h100, h200, cpu, or any name with --memory and --peak")
	flags.StringVar(&f.memory, "memory", "", "memory of a device, such as 192GB, in the place of what is known of it")
	flags.Float64Var(&f.peak, "peak", 0, "operations a second at a device's peak, such as 2.25e15, in the place of what is known of it")
	flags.Float64Var(&f.mfu, "mfu", 0.3, "part of the peak that the matrix products reach, above 0 and at most 1")
	flags.StringVar(&f.sharded, "sharded", "none", "state that is divided among the devices: none, optimizer, gradients or weights")
	flags.BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

// planFlags say what to plan.
type planFlags struct {
	recipes, set            []string
	device, memory, sharded string
	devices                 int
	peak, mfu               float64
}

// planned is the plan of a recipe.
type planned struct {
	Recipe    string      `json:"recipe"`
	Set       []string    `json:"set,omitempty"`
	Certainty string      `json:"certainty"`         // of the recipe's numbers
	Assumed   []string    `json:"assumed,omitempty"` // what is not known of it and is taken from metro-large++
	Devices   int         `json:"devices"`
	Device    plan.Device `json:"device"`
	MFU       float64     `json:"mfu"`
	Sharded   string      `json:"sharded"`
	Fits      *bool       `json:"fits"`     // into a device's memory; null if that is not known
	Evidence  int         `json:"evidence"` // compiled steps that the estimate of activations was fitted to; of 0, it is a guess
	plan.Plan

	config metro.Config
}

// plans makes them all.
func (f planFlags) plans() (list []planned, err error) {
	r := plan.Request{Devices: f.devices, MFU: f.mfu}
	if r.Device, err = f.kind(); err != nil {
		return nil, err
	}
	if r.Sharded, err = plan.ParseSharding(f.sharded); err != nil {
		return nil, err
	}
	for _, name := range f.recipes {
		p := planned{Recipe: name, Set: f.set, Devices: f.devices, Device: r.Device, MFU: f.mfu, Sharded: f.sharded}
		var recipe recipes.Recipe
		if recipe, p.config, p.Assumed, err = recipes.ForPlanning(name, f.set...); err != nil {
			return nil, err
		}
		p.Certainty, r.Config = recipe.Certainty, p.config
		if p.Plan, err = plan.Make(r); err != nil {
			return nil, err
		}
		p.Evidence = plan.Evidence(p.config, r.Device.Compiler)
		if r.Device.Memory > 0 {
			fits := p.Memory.Total() <= r.Device.Memory
			p.Fits = &fits
		}
		list = append(list, p)
	}
	return list, nil
}

// kind is the device that was asked for.
func (f planFlags) kind() (d plan.Device, err error) {
	names := devicesKnown()
	switch known := slices.Contains(names, f.device); {
	case f.device == "cpu":
		d = plan.CPU()
	case known:
		gpu, err := backend.FindGPU(f.device)
		if err != nil {
			return d, err
		}
		d = plan.Device{Memory: gpu.Memory, Peak: gpu.BFloat16, Compiler: plan.XLACUDA}
	case f.memory == "" || f.peak == 0:
		return d, usererr.New("nothing is known of a device %q; name one of %s, or give its --memory and --peak", f.device, strings.Join(names, ", "))
	default:
		d.Compiler = plan.XLACUDA
	}
	d.Name = f.device
	if f.memory != "" {
		bytes, err := humanize.ParseBytes(f.memory)
		if err != nil || bytes == 0 {
			return d, usererr.New("--memory is %q; it is a number of bytes, such as 192GB", f.memory)
		}
		d.Memory = float64(bytes)
	}
	if f.peak != 0 {
		d.Peak = f.peak
	}
	return d, nil
}

// devicesKnown are the kinds of devices whose peak is known.
func devicesKnown() []string { return append(targets(nil, nil, ""), "cpu") }

// plannable are the recipes and the sizes for planning.
func plannable() (names []string) {
	for _, r := range slices.Concat(recipes.All(), recipes.Shapes()) {
		names = append(names, r.Name)
	}
	return names
}

func (f planFlags) print(w io.Writer, list []planned) {
	if len(list) == 1 {
		printPlan(w, list[0])
	} else {
		printTable(w, planTable(list))
	}
	d := list[0].Device
	fmt.Fprintf(w, "\n%d × %s, %s, at %s of %s; state that is divided: %s\n", f.devices, d.Name, known(d.Memory, "B"), share(f.mfu),
		known(d.Peak, "FLOP/s"), f.sharded)
	for _, p := range list {
		if len(p.Assumed) > 0 {
			fmt.Fprintf(w, "%s: nobody has said what shape it has; not known and taken from metro-large++: %s\n", p.Recipe, strings.Join(p.Assumed, ", "))
		}
	}
	if slices.ContainsFunc(list, func(p planned) bool { return p.Evidence == 0 }) {
		fmt.Fprintln(w, "activations are a guess: no such step has been compiled for this kind of device; all else of the memory is counted; metro compile asks the compiler")
	} else {
		fmt.Fprintln(w, "activations are an estimate (docs/planning.md says how near), all else of the memory is counted; metro compile asks the compiler")
	}
	if f.sharded != "none" {
		fmt.Fprintln(w, "metrolab itself trains with all of the state on each device")
	}
}

// planTable is a row a recipe.
func planTable(list []planned) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "recipe"}, {Name: "certainty"}, {Name: "main"}, {Name: "generator"}}}
	for _, name := range []string{"weights", "rows × tokens", "steps", "rows a device", "state", "gradients", "activations", "memory a device", "fits", "FLOP a step", "FLOP", "days"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right})
	}
	for _, p := range list {
		c, m := p.config, p.Memory
		t.Rows = append(t.Rows, []any{
			p.Recipe, p.Certainty, shape(c.Main), shape(c.Generator), magnitude(p.Parameters.Total()),
			fmt.Sprintf("%d × %d", c.Training.BatchSize, c.Data.SeqLen), humanize.Comma(int64(c.Training.Steps)), p.Rows,
			bytesOf(m.State.Total() + m.Gathered), bytesOf(m.Gradients), bytesOf(m.Activations), bytesOf(m.Total()), p.fits(),
			known(p.FLOPs.Total(), ""), fmt.Sprintf("%.2g", p.Run), days(p.Days),
		})
	}
	return t
}

func (p planned) fits() any {
	if p.Fits == nil {
		return nil
	}
	return map[bool]string{true: "yes", false: "no"}[*p.Fits]
}

// days writes three digits of a number of days.
func days(x float64) string { return fmt.Sprintf("%.3g", x) }

// printPlan prints all of one plan.
func printPlan(w io.Writer, p planned) {
	c, m := p.config, p.Memory
	fmt.Fprintf(w, "%s: %s\n%d rows of %d tokens a step, %d of them at a time on each device; %s steps, %s tokens\n\n",
		strings.Join(append([]string{p.Recipe}, p.Set...), " "), p.Certainty, c.Training.BatchSize, c.Data.SeqLen, p.Rows,
		humanize.Comma(int64(c.Training.Steps)), known(p.Tokens, ""))
	t := table.Table{Columns: []table.Column{{Name: "what"}, {Name: "takes", Align: table.Right}}}
	row := func(name string, value any) { t.Rows = append(t.Rows, []any{name, value}) }
	count := func(n int) string { return humanize.Comma(int64(n)) }
	row("weights of the main model's encoder", count(p.Parameters.Encoder))
	row("of its heads", count(p.Parameters.Heads))
	row("of the generator alone", count(p.Parameters.Generator))
	row("all weights", count(p.Parameters.Total()))
	if active := p.Parameters.Active; active < p.Parameters.Total() {
		row("active, those that one token meets", count(active))
	}
	for _, part := range m.Parts() {
		if part.Bytes > 0 {
			row("memory: "+part.Name, bytesOf(part.Bytes))
		}
	}
	row("memory of a device", bytesOf(m.Total()))
	for _, part := range p.FLOPs.Parts() {
		if part.Value > 0 {
			row("operations: "+part.Name, known(part.Value, "FLOP"))
		}
	}
	row("operations of a step", known(p.FLOPs.Total(), "FLOP"))
	row("operations of all steps", fmt.Sprintf("%.3g FLOP", p.Run))
	row("time of a step", milliseconds(p.Seconds))
	row("days", days(p.Days))
	printTable(w, t)
	if p.Fits != nil && !*p.Fits {
		fmt.Fprintf(w, "\nthis does not fit: %s\n", p.advice())
	}
}

// advice is what would make the plan fit.
func (p planned) advice() string {
	over := fmt.Sprintf("a device has %s", bytesOf(p.Device.Memory))
	if state := p.Memory.Total() - p.Memory.Activations; state > p.Device.Memory {
		return over + ", and the state alone takes " + bytesOf(state) + "; --sharded divides it among devices"
	}
	return over + "; make training.accumulate or --devices larger, or set training.activation_checkpointing=true or training.matmul=bfloat16"
}
