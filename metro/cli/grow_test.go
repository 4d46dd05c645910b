// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model grows, the receipt says that its function stayed, and pretraining goes on from there with the same loss. What cannot be
// done leaves nothing behind.
func TestGrow(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	grown := filepath.Join(l.dir, "grown")
	grow := func(out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"grow", "--model", run, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	stdout, said, code := grow(grown, "--set", "main.width=32", "--noise", "0.1")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "the function is kept")

	seam := func(name, from string) float64 {
		_, said, code := l.inProcess(t.Context(), l.pretrain(name, "go", 10, "--init-from", from, "--set", "optimizer.learning_rate=1e-9")...)
		require.Equal(t, exitDone, code, said)
		metrics, err := os.ReadFile(filepath.Join(l.onlyRun(name), "metrics.jsonl"))
		require.NoError(t, err)
		return firstLoss(t, metrics)
	}
	require.InEpsilon(t, seam("small", run), seam("large", grown), 1e-4, "the loss is continuous across the seam")

	for message, more := range map[string][]string{
		"1.5 times 16":                     {"--set", "main.width=24"},
		"no growth":                        {"--set", "main.width=32", "--set", "main.activation=relu"},
		"nothing grows":                    {"--set", "main.width=16"},
		"noise tells copies apart":         {"--set", "main.layers=2", "--noise", "0.1"},
		"aki says where copies are from":   {"--set", "main.layers=2", "--width", "aki"},
		"where no layers are added":        {"--set", "main.width=32", "--depth", "interpolate"},
		"leave the seed out":               {"--set", "main.width=32", "--seed", "3"},
		"main.layers must be positive":     {"--set", "main.layers=0"},
		`not by "wide"`:                    {"--set", "main.width=32", "--width", "wide"},
		"needs layers that can add nothin": {"--set", "main.layers=2", "--depth", "zero"},
	} {
		out := filepath.Join(l.dir, "refused")
		_, said, code := grow(out, more...)
		require.Equal(t, exitUser, code, "%v: %s", more, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}
	_, said, code = grow(grown, "--set", "main.width=32")
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "is there already")
	_, said, code = grow(filepath.Join(l.dir, "uneven"), "--set", "main.width=24", "--approximate")
	require.Equal(t, exitDone, code, said)

	run = filepath.Join(grown, "discriminator")
	for message, more := range map[string][]string{
		"so that generator.width=128 would do nothing": {"--set", "main.width=64", "--set", "generator.width=128"},
		"so that --restart-generator would do nothing": {"--set", "main.width=64", "--restart-generator"},
	} {
		out := filepath.Join(l.dir, "refused")
		_, said, code := grow(out, more...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}
}

// Maps become experts, and pretraining goes on with the same loss where there are slots for all, so that gate, dispatch and combination
// were in its step.
func TestGrowExperts(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	experts := filepath.Join(l.dir, "experts")
	grow := func(model, out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"grow", "--model", model, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	stdout, said, code := grow(run, experts, "--experts", "4", "--set", "main.feed_forward_options.capacity=0", "--set", "main.feed_forward_options.balance_weight=0")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "the function is kept")
	require.Contains(t, stdout, "weights that a token meets")

	seam := func(name, from string, more ...string) float64 {
		_, said, code := l.inProcess(t.Context(), append(l.pretrain(name, "go", 10, "--init-from", from, "--set", "optimizer.learning_rate=1e-9"), more...)...)
		require.Equal(t, exitDone, code, said)
		metrics, err := os.ReadFile(filepath.Join(l.onlyRun(name), "metrics.jsonl"))
		require.NoError(t, err)
		return firstLoss(t, metrics)
	}
	require.InEpsilon(t, seam("dense", run), seam("sparse", experts), 1e-4, "the loss is continuous across the seam")

	fewer := filepath.Join(l.dir, "fewer")
	prune := func(model, out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"compress", "--model", model, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	stdout, said, code = prune(experts, fewer, "--experts", "2")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "missed")
	_, said, code = l.inProcess(t.Context(), "export", "--model", fewer, "--out", filepath.Join(l.dir, "again"))
	require.Equal(t, exitDone, code, said)
	for message, c := range map[string][]string{
		"2 to 3 can be kept, not 1": {experts, "--experts", "1"},
		"2 to 3 can be kept, not 0": {experts, "--experts", "0"},
		"has no experts":            {run, "--experts", "2"},
		"none of the others can be": {experts, "--experts", "2", "--rank", "3"},
	} {
		out := filepath.Join(l.dir, "refused")
		_, said, code := prune(c[0], out, c[1:]...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}

	for message, c := range map[string]struct {
		model string
		more  []string
	}{
		"has experts, which are not grown: 4 of each":        {experts, []string{"--experts", "8"}},
		"leave --experts out, or name the dense model":       {experts, []string{"--experts", "4"}},
		"--experts is -1; a map becomes 1 and more":          {run, []string{"--experts", "-1"}},
		"--experts is 0; a map becomes 1 and more":           {run, []string{"--experts", "0", "--set", "main.width=32"}},
		"needs as many experts at least":                     {run, []string{"--experts", "1", "--set", "main.feed_forward_options.top_k=2"}},
		"another main.dropout is no growth":                  {run, []string{"--experts", "2", "--set", "main.dropout=0.1"}},
		"at least one of the flags":                          {run, nil},
		"counts by the probability of its expert, about 1/4": {run, []string{"--experts", "4", "--set", "main.feed_forward_options.top_k=1"}},
	} {
		out := filepath.Join(l.dir, "refused")
		stdout, said, code := grow(c.model, out, c.more...)
		if code == exitDone { // an approximation that an option asks for
			require.Contains(t, stdout, message)
			require.NoError(t, os.RemoveAll(out))
			continue
		}
		require.Equal(t, exitUser, code, "%v: %s", c.more, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}
}
