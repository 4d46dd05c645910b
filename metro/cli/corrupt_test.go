// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What metro corrupt says to give next trains on what it has drawn, and refusals leave nothing behind.
func TestCorrupt(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	in := func(name string) string { return filepath.Join(l.dir, name) }
	corrupt := func(out string, more ...string) (string, string, int) {
		args := l.pretrain("", "go", 10, more...)
		args[0] = "corrupt"
		i := 0
		for _, a := range args { // it writes to a folder of its own
			if a == "--out" {
				break
			}
			i++
		}
		args[i+1] = in(out)
		return l.inProcess(t.Context(), args...)
	}
	drawn, said, code := corrupt("drawn", "--source", run, "--set", "replacements.temperature=2")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, drawn, "drawn before (stored)")
	require.Contains(t, drawn, "the operations are saved from run ")
	again, _, code := corrupt("drawn", "--source", run, "--set", "replacements.temperature=2")
	require.Equal(t, exitDone, code)
	require.Equal(t, drawn, again)

	_, next, _ := strings.Cut(strings.TrimSpace(drawn), "next:  metro ")
	_, said, code = l.inProcess(t.Context(), append(strings.Fields(next), "--out", in("on it"), "--backend", "go")...)
	require.Equal(t, exitDone, code, said)
	require.NotEmpty(t, l.onlyRun("on it"))

	kept, said, code := corrupt("logits", "--source", run, "--top", "70")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, kept, "logits of 70 tokens a position; what is lost, in nats, by temperature: T=0.5: ")
	_, said, code = corrupt("warm", "--source", in("logits"), "--set", "replacements.temperature=1.5")
	require.Equal(t, exitDone, code, said)

	for message, more := range map[string][]string{
		"--top is 0; it keeps the logits of 1 token and more":     {"--source", run, "--top", "0"},
		"replacements.temperature=2 does nothing beside --top":    {"--source", run, "--top", "9", "--set", "replacements.temperature=2"},
		"the logits that were kept are":                           {"--source", run, "--top", "2"},
		"the logits of 5000 tokens are to be kept, and there are": {"--source", run, "--top", "5000"},
		"is not a run: there is no config.json in it":             {"--source", in("nowhere")},
		"holds samples, which were drawn already":                 {"--source", in("drawn")},
		"holds the logits of 70 tokens":                           {"--source", in("logits"), "--top", "9"},
		"holds other corruptions: replacements.temperature is ":   {"--source", run, "--set", "replacements.temperature=3"},
	} {
		out := "refused"
		if strings.HasPrefix(message, "holds other") {
			out = "drawn"
		}
		_, said, code := corrupt(out, more...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, in("refused"))
	}
}
