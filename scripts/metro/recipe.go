// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/viz"
)

func recipeCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "recipe",
		Short:   "List the named recipes, or show one with every field that --set can change",
		Example: "  metro recipe list\n  metro recipe show tiny --set main.layers=3",
	})
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the recipes", Args: args(cobra.NoArgs), Example: "  metro recipe list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := viz.Table{Columns: []viz.Column{{Name: "recipe"}, {Name: "main model"}, {Name: "generator"}, {Name: "rows × tokens"}, {Name: "steps", Align: viz.Right}}}
			for _, name := range recipes.Names() {
				c, err := recipes.Get(name)
				if err != nil {
					return err
				}
				t.Rows = append(t.Rows, []any{
					name, fmt.Sprintf("%d × %d", c.Main.Layers, c.Main.Width), fmt.Sprintf("%d × %d", c.Generator.Layers, c.Generator.Width),
					fmt.Sprintf("%d × %d", c.Training.BatchSize, c.Data.SeqLen), c.Training.Steps,
				})
			}
			printTable(cmd.OutOrStdout(), t)
			return nil
		},
	}, recipeShowCommand())
	return cmd
}

func recipeShowCommand() *cobra.Command {
	var f recipeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show every field of a recipe", Args: args(cobra.ExactArgs(1)),
		Example: "  metro recipe show tiny\n  metro recipe show base --json",
		RunE: func(cmd *cobra.Command, names []string) error {
			f.recipe = names[0]
			c, err := f.config()
			if err != nil {
				return err
			}
			if asJSON {
				text, err := json.MarshalIndent(c, "", "  ")
				fmt.Fprintln(cmd.OutOrStdout(), string(text))
				return err
			}
			flat, err := runs.Flatten(c)
			if err != nil {
				return err
			}
			t := viz.Table{Columns: []viz.Column{{Name: "path"}, {Name: "value"}}}
			for _, path := range slices.Sorted(maps.Keys(flat)) {
				t.Rows = append(t.Rows, []any{path, flat[path]})
			}
			printTable(cmd.OutOrStdout(), t)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a field first, path=value")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
