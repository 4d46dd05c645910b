// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

func runRecipe(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{"recipe"}, args...))
	err = cmd.Execute()
	return out.String(), errs.String(), err
}

func TestRecipeList(t *testing.T) {
	out, _, err := runRecipe("list")
	require.NoError(t, err)
	for _, name := range recipes.Names() {
		require.Contains(t, out, "\n"+name+" ")
	}
	for _, r := range recipes.Shapes() {
		require.Regexp(t, `(?m)^`+r.Name+` .*unverified`, out)
	}
	text, err := recipeTable().Text(0)
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len([]rune(line)), 101, line)
	}
}

// Every field is shown, and every value that it can have.
func TestRecipeShow(t *testing.T) {
	for _, r := range recipes.All() {
		out, stderr, err := runRecipe("show", r.Name)
		require.NoError(t, err)
		c := r.Config()
		for _, path := range c.Paths() {
			require.Regexp(t, `(?m)^`+regexp.QuoteMeta(path)+`( |$)`, out)
		}
		for path, values := range metro.Choices() {
			line := row(out, path)
			for _, value := range values {
				require.Contains(t, line, value, path)
			}
		}
		for _, rule := range metro.SizingRules() {
			require.Contains(t, row(out, "generator.size"), rule)
		}
		require.Contains(t, out, "    metro pretrain --recipe "+r.Name)
		require.Equal(t, r.Name == "fast-electra", strings.Contains(stderr, "before it runs: "), r.Name)
	}
}

// row is the line of a path, with those that it is continued on.
func row(table, path string) string {
	_, rest, _ := strings.Cut(table, "\n"+path+" ")
	var b strings.Builder
	for i, line := range strings.Split(rest, "\n") {
		if i > 0 && !strings.HasPrefix(line, " ") {
			break
		}
		b.WriteString(line + " ")
	}
	return b.String()
}

func TestRecipeShowWithChanges(t *testing.T) {
	out, _, err := runRecipe("show", "electra-small", "--set", "data.seq_len=512", "--set", "masking.rule=80/10/10")
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(out), " "), "As set here: - Parameters: 13,483,008 in the encoder, 13,549,057 with the RTD head;")
	require.Contains(t, row(out, "masking.rule"), "85/15/0")

	out, _, err = runRecipe("show", "tiny", "--json", "--set", "seed=7")
	require.NoError(t, err)
	var c metro.Config
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	want := recipes.Tiny()
	want.Seed = 7
	require.Equal(t, want, c)

	for _, bad := range [][]string{{"show", "tiny", "--set", "main.heads=3"}, {"show", "tiny", "--set", "nothing=1"}, {"show", "huge"}, {"show", "metro-xl"}} {
		_, _, err := runRecipe(bad...)
		require.True(t, usererr.Is(err), "%v: %v", bad, err)
	}
}

func TestMagnitude(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1.00 k", 7_440: "7.44 k", 88_448: "88.4 k", 999_499: "999 k", 999_500: "1.00 M", 334_092_288: "334 M", 5_832_536_064: "5.83 G"} {
		require.Equal(t, want, magnitude(n), n)
	}
}
