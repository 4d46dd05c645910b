// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// One model through everything that reads it: predict, correct, export, and a second training that begins with it.
func TestReadAPretrainedModel(t *testing.T) {
	l := newLab(t)
	_, stderr, code := l.metro(l.pretrain("runs", "go", 20)...)
	require.Zero(t, code, stderr)
	run := l.onlyRun("runs")

	t.Run("predict", func(t *testing.T) {
		input := filepath.Join(l.dir, "in.jsonl")
		require.NoError(t, os.WriteFile(input, []byte(`{"text": "the 3 readers [MASK] 4 files"}`+"\n\n"+`{"ids": [2, 9, 8, 7, 3]}`+"\n"+`{"text": ""}`+"\n"), 0o600))
		stdout, stderr, code := l.metro("predict", "--model", run, "--input", input, "--top-k", "2", "--hidden")
		require.Zero(t, code, stderr)
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		require.Len(t, lines, 3)
		var first, second, empty answer
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
		require.NoError(t, json.Unmarshal([]byte(lines[1]), &second))
		require.NoError(t, json.Unmarshal([]byte(lines[2]), &empty))
		require.Equal(t, []int32{2, 9, 8, 7, 3}, second.IDs)
		require.Empty(t, empty.IDs)
		for _, a := range []answer{first, second} {
			n := len(a.IDs)
			require.Len(t, a.Tokens, n)
			require.Len(t, a.RTDLogits, n)
			require.Len(t, a.RTDProb, n)
			require.Len(t, a.Corrections, n)
			require.Len(t, a.Hidden, n)
			require.Len(t, a.Hidden[0], 16)
			for i, p := range a.RTDProb {
				require.Equal(t, p > 0.5, a.RTDLogits[i] > 0)
				require.Len(t, a.Corrections[i], 2)
			}
		}
		mask := -1
		for i, token := range first.Tokens {
			require.Equal(t, token == "[MASK]", len(first.Generator[i]) > 0)
			if token == "[MASK]" {
				mask = i
			}
		}
		require.GreaterOrEqual(t, mask, 0)
		require.Len(t, first.Generator[mask], 2)

		_, stderr, code = l.metro("predict", "--model", run, "--input", input, "--output", filepath.Join(l.dir, "out.jsonl"))
		require.Zero(t, code, stderr)
		_, stderr, code = l.metro("predict", "--model", run, "--input", input, "--output", filepath.Join(l.dir, "out.jsonl"))
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "nothing is overwritten")
	})

	t.Run("correct", func(t *testing.T) {
		stdout, stderr, code := l.metro("correct", "--model", run, "--threshold", "0.000001", "The 3 readers open files.")
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "[readers ")
		require.Contains(t, stdout, " % → ")
		stdout, _, code = l.metro("correct", "--model", run, "--threshold", "0.999999", "The 3 readers open files.")
		require.Zero(t, code)
		require.Equal(t, "The 3 readers open files.\n", stdout)
	})

	t.Run("export and read back", func(t *testing.T) {
		out := filepath.Join(l.dir, "exported")
		stdout, stderr, code := l.metro("export", "--model", run, "--out", out)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "not an ELECTRA model, because it has a relative position bias")
		ask := func(model string) string {
			cmd := l.command("predict", "--model", model, "--input", "-")
			cmd.Stdin = strings.NewReader(`{"text": "the 3 readers open [MASK] files"}`)
			answer, err := cmd.Output()
			require.NoError(t, err)
			return string(answer)
		}
		require.Equal(t, ask(run), ask(out), "the folder says what the run says")
		_, stderr, code = l.metro("export", "--model", run, "--out", out)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, out)
	})

	t.Run("begin with it", func(t *testing.T) {
		_, stderr, code := l.metro(l.pretrain("more", "go", 20, "--init-from", run)...)
		require.Zero(t, code, stderr)
		before, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
		require.NoError(t, err)
		after, err := os.ReadFile(filepath.Join(l.onlyRun("more"), "metrics.jsonl"))
		require.NoError(t, err)
		require.Less(t, firstLoss(t, after), firstLoss(t, before), "it goes on from what was learned")
	})

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such model":   {[]string{"predict", "--model", "nowhere", "--input", "-"}, "nowhere"},
		"no such input":   {[]string{"predict", "--model", run, "--input", "nowhere.jsonl"}, "nowhere.jsonl"},
		"top-k":           {[]string{"predict", "--model", run, "--input", "-", "--top-k", "0"}, "--top-k"},
		"threshold":       {[]string{"correct", "--model", run, "--threshold", "2", "text"}, "--threshold"},
		"init from":       {[]string{"pretrain", "--recipe", "micro", "--corpus", l.text, "--init-from", "nowhere"}, "nowhere"},
		"init, not fit":   {l.pretrain("x", "go", 20, "--init-from", run, "--set", "main.layers=2"), "main.layers is 1 there and 2 in the config"},
		"not a JSON line": {[]string{"predict", "--model", run, "--input", l.text}, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := l.metro(c.args...)
			require.Equal(t, 2, code, stderr)
			require.Contains(t, stderr, c.says)
		})
	}
}

// firstLoss reads the loss of the first record of metrics.jsonl.
func firstLoss(t *testing.T, lines []byte) float64 {
	t.Helper()
	line, _, _ := strings.Cut(string(lines), "\n")
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(line), &row))
	values, nested := row["values"].(map[string]any)
	if !nested {
		values = row
	}
	return values["loss"].(float64)
}
