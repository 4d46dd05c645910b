// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"metrolab/internal/docs"
	"metrolab/metro/recipes"
)

// What the pages and the help texts tell a reader to type is there: commands, flags, arguments, recipes and the paths of --set.
func TestDocumentedCommandsAreThere(t *testing.T) {
	checked := 0
	for _, page := range documented(t) {
		for _, c := range page.Commands("metro") {
			checked++
			for _, words := range alternatives(c.Words[1:]) {
				if err := check(words, c.Whole); err != nil {
					t.Errorf("%s:%d: metro %s: %v", page.Name, c.Line, strings.Join(words, " "), err)
				}
			}
		}
	}
	require.Greater(t, checked, 40)
}

// documented are the pages, and the example of each command as if it were one.
func documented(t *testing.T) []docs.Page {
	var pages []docs.Page
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../notebooks/*/*.md", "../../notebooks/*.ipynb"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			page, err := docs.ParseFile(strings.TrimPrefix(name, "../../"), text)
			require.NoError(t, err)
			pages = append(pages, page)
		}
	}
	require.NotEmpty(t, pages)
	var add func(*cobra.Command)
	add = func(c *cobra.Command) {
		var lines []string
		for line := range strings.Lines(c.Example) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), "  ") // then says what it does
			lines = append(lines, command)
		}
		pages = append(pages, docs.Parse("help of "+c.CommandPath(), "```bash\n"+strings.Join(lines, "\n")+"\n```"))
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(root())
	return pages
}

// alternatives spells out words like "ls|diff|rm".
func alternatives(words []string) [][]string {
	for i, word := range words {
		if !strings.Contains(word, "|") {
			continue
		}
		var all [][]string
		for _, one := range strings.Split(word, "|") {
			all = append(all, alternatives(slices.Concat(words[:i], []string{one}, words[i+1:]))...)
		}
		return all
	}
	return [][]string{words}
}

// check returns what is wrong with a command, without running it. Where it is not whole, arguments and the values of flags
// may be missing.
func check(words []string, whole bool) error {
	c, rest, err := root().Find(words)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if strings.HasPrefix(word, "--") && c.Flag(name) == nil {
			return fmt.Errorf("it has no flag --%s", name)
		}
	}
	isFlag := func(word string) bool { return strings.HasPrefix(word, "-") }
	if c.HasSubCommands() && !slices.ContainsFunc(rest, isFlag) { // with flags it is a command itself, beside those below it
		return c.ValidateArgs(rest)
	}
	if !whole {
		return nil
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		return err
	}
	return checkConfig(c)
}

// checkConfig returns what is wrong with the recipe and the changes that a command names.
func checkConfig(c *cobra.Command) error {
	changes, err := c.Flags().GetStringArray("set")
	if err != nil {
		return nil // it has none
	}
	if flag := c.Flag("experts"); flag != nil && flag.Changed { // what it stands for
		changes = append([]string{"main.feed_forward=moe"}, changes...)
	}
	names := []string{"tiny"}
	if flag := c.Flag("recipe"); flag != nil {
		names = []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			names = list.GetSlice()
		}
	}
	for _, name := range names {
		recipe, _, _ := strings.Cut(name, "@")
		if c.Name() != "plan" { // which plans sizes too that are no recipes
			if _, err := recipes.Get(recipe); err != nil {
				return err
			}
		}
		_, config, _, err := recipes.ForPlanning(recipe, changes...)
		if err := errors.Join(err, config.Validate()); err != nil {
			return err
		}
	}
	return nil
}
