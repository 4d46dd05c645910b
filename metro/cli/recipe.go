// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"go/doc/comment"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/viz/table"
)

func recipeCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "recipe",
		Short:   "List the named recipes, or show one with every field that --set can change",
		Example: "  metro recipe list\n  metro recipe show tiny --set main.layers=3",
	})
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the recipes, and sizes for planning", Args: args(cobra.NoArgs), Example: "  metro recipe list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			printTable(cmd.OutOrStdout(), recipeTable())
			return nil
		},
	}, recipeShowCommand())
	return cmd
}

func recipeTable() table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "recipe"}, {Name: "main"}, {Name: "generator"}, {Name: "weights", Align: table.Right},
		{Name: "rows × tokens", Align: table.Right}, {Name: "steps", Align: table.Right}, {Name: "certainty"},
	}}
	for _, r := range slices.Concat(recipes.All(), recipes.Shapes()) {
		c := r.Config()
		var generator, rows, steps any // nil is what is not known
		if c.Generator.Layers > 0 {
			generator = shape(c.Generator)
		}
		if c.Training.Steps > 0 {
			rows, steps = fmt.Sprintf("%d × %d", c.Training.BatchSize, c.Data.SeqLen), humanize.Comma(int64(c.Training.Steps))
		}
		weights := magnitude(recipes.Count(c, c.Data.VocabSize).Encoder)
		t.Rows = append(t.Rows, []any{r.Name, shape(c.Main), generator, weights, rows, steps, r.Certainty})
	}
	return t
}

func shape(e metro.Encoder) string { return fmt.Sprintf("%d × %d", e.Layers, e.Width) }

// magnitude writes a number of weights with three digits.
func magnitude(n int) string {
	x, units := float64(n), []string{"", " k", " M", " G"}
	for x >= 999.5 && len(units) > 1 {
		x, units = x/1000, units[1:]
	}
	decimals := 0
	for limit := 100.0; decimals < 2 && x < limit && n >= 1000; limit /= 10 {
		decimals++
	}
	return fmt.Sprintf("%.*f%s", decimals, x, units[0])
}

func recipeShowCommand() *cobra.Command {
	var set []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show where a recipe is from, and every field with the other values that it can have", Args: args(cobra.ExactArgs(1)),
		Example: "  metro recipe show tiny\n  metro recipe show electra-small --set generator.size=same\n  metro recipe show metro-base --json",
		RunE: func(cmd *cobra.Command, names []string) error {
			r, c, err := recipeWith(names[0], set)
			if err != nil {
				return err
			}
			if problem := c.Validate(); problem != nil {
				if r.Config().Validate() == nil {
					return problem // it comes from --set
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "before it runs: %v\n", problem)
			}
			if asJSON {
				text, err := json.MarshalIndent(c, "", "  ")
				fmt.Fprintln(cmd.OutOrStdout(), string(text))
				return err
			}
			return showRecipe(cmd.OutOrStdout(), r, c, len(set) > 0)
		},
	}
	cmd.Flags().StringArrayVar(&set, "set", nil, "change a field first, path=value")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the config alone, as JSON")
	return cmd
}

// recipeWith is a recipe and its config with assignments made.
func recipeWith(name string, set []string) (recipes.Recipe, metro.Config, error) {
	r, err := recipes.Find(name)
	if err != nil {
		return r, metro.Config{}, err
	}
	c := r.Config()
	return r, c, c.SetAll(set...)
}

func showRecipe(w io.Writer, r recipes.Recipe, c metro.Config, changed bool) error {
	const widestText = 100
	about := r.About()
	if changed {
		about += "\nAs set here:\n\n" + weightsAndCost(c)
	}
	printer := comment.Printer{TextWidth: min(terminalWidth(w), widestText), TextCodePrefix: "    "}
	fmt.Fprintf(w, "%s\n", printer.Text(new(comment.Parser).Parse(about)))
	flat, err := runs.Flatten(c)
	if err != nil {
		return err
	}
	t := table.Table{Columns: []table.Column{{Name: "path"}, {Name: "value"}, {Name: "is"}, {Name: "other values"}}}
	others := otherValues()
	kinds := map[string]string{}
	for _, f := range c.Fields() {
		if _, plain := flat[f.Path]; !plain {
			flat[f.Path] = f.Value // an option of a registered part
		}
		if kinds[f.Path] = f.Class.String(); !f.InUse {
			kinds[f.Path] = "idle"
		}
	}
	for path := range others {
		if _, isField := flat[path]; !isField {
			flat[path] = nil // a shorthand
		}
	}
	for _, path := range slices.Sorted(maps.Keys(flat)) {
		t.Rows = append(t.Rows, []any{path, flat[path], kinds[path], others.without(path, flat[path])})
	}
	printTable(w, t)
	fmt.Fprint(w, "\n"+whatFieldsAre)
	return nil
}

// whatFieldsAre explains the column "is".
const whatFieldsAre = `graph      built into the compiled step
input      changes from run to run under one compiled step
data       what is read
operation  how a run is looked after: decides no number, and is no part of its name
idle       has no effect under the other settings
`

// weightsAndCost are the lines of a recipe's header that follow from its config.
func weightsAndCost(c metro.Config) string {
	p := recipes.Count(c, c.Data.VocabSize)
	active := ""
	if p.Active < p.Encoder+p.RTDHead+p.Generator {
		active = fmt.Sprintf("  - Active: %s of them, those that one token meets.\n", humanize.Comma(int64(p.Active)))
	}
	return fmt.Sprintf("  - Parameters: %s in the encoder, %s with the RTD head; %s in the generator.\n%s"+
		"  - Cost: %s tokens, about %s floating-point operations.\n",
		humanize.Comma(int64(p.Encoder)), humanize.Comma(int64(p.Encoder+p.RTDHead)), humanize.Comma(int64(p.Generator)), active,
		humanize.Comma(int64(recipes.TrainTokens(c))), strings.Replace(fmt.Sprintf("%.0e", recipes.TrainFLOPs(c, c.Data.VocabSize)), "e+", "e", 1))
}

// valuesOf lists what can be assigned to a path.
type valuesOf map[string][]string

// otherValues knows the paths whose values have names, the shorthands, which set several fields, and what a word can be
// where words are free.
func otherValues() valuesOf {
	values := valuesOf(metro.Choices())
	values["generator.size"] = metro.SizingRules()
	values["generator.width_ratio"] = []string{"above 0, at most 4"}
	values["main.width_ratio"] = values["generator.width_ratio"]
	values["evaluation.metrics"] = []string{"tie_cosine, and names from metro.RegisterMetric, with commas"}
	values["optimizer.groups"] = []string{"such as main/rtd: lr=2; generator: lr=0.5 decay=0"}
	values["replacements.checkpoint"] = []string{"a run, or a Hugging Face folder"}
	values["data.corpus"] = []string{"a text, as --corpus takes it"}
	values["training.init_from"] = []string{"a run, or a Hugging Face pair"}
	values["training.fork"] = []string{"RUN@STEP, a run and one of its steps with a checkpoint"}
	values["masking.rule"] = []string{"100/0/0", "85/15/0", "80/10/10", "any mask/keep/random in per cent"}
	return values
}

func (v valuesOf) without(path string, value any) string {
	if b, ok := value.(bool); ok {
		return fmt.Sprint(!b)
	}
	return strings.Join(slices.DeleteFunc(slices.Clone(v[path]), func(s string) bool { return s == value }), ", ")
}
