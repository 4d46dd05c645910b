// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model with matrices of low rank is a model like any; at full rank it is the one that it was made of. What cannot be done leaves
// nothing behind.
func TestCompress(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	compress := func(out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"compress", "--model", run, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	small := filepath.Join(l.dir, "small")
	stdout, said, code := compress(small, "--rank", "2")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "main.layer_0.ffn_in and 1 more  16×32×2")
	require.Contains(t, stdout, "generator's logits                   0")
	_, said, code = l.inProcess(t.Context(), "export", "--model", small, "--out", filepath.Join(l.dir, "again"))
	require.Equal(t, exitDone, code, said)
	stdout, said, code = compress(filepath.Join(l.dir, "whole"), "--method", "svd", "--target", "attention", "--rank", "16")
	require.Equal(t, exitDone, code, said)
	require.Regexp(t, `RTD logits +(0|\d(\.\d)?e-0[789]) `, stdout)

	for message, more := range map[string][]string{
		"take 16 or less":      {"--rank", "17"},
		"is there already":     {"--rank", "2", "--out", small},
		"the method is one of": {"--rank", "2", "--method", "lu"},
		"not \"1\"":            {"--rank", "2", "--layers", "1"},
		"the start is one of":  {"--rank", "2", "--start", "warm"},
		"draws nothing":        {"--rank", "2", "--seed", "3"},
	} {
		out := filepath.Join(l.dir, "refused")
		args := append([]string{"compress", "--model", run, "--corpus", l.text, "--backend", "go"}, more...)
		if message != "is there already" {
			args = append(args, "--out", out)
		}
		_, said, code := l.inProcess(t.Context(), args...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}
}
