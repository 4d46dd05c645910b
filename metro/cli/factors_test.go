// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A folder of factors is the folder of their product, which metro export makes of it, to every command: the runs that begin with the one
// or the other are one run. Its file is smaller by the numbers that the receipt says.
func TestCompressToFactors(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	compress := func(model, out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"compress", "--model", model, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	in := func(name string) string { return filepath.Join(l.dir, name) }
	whole, said, code := compress(run, in("whole"), "--rank", "4")
	require.Equal(t, exitDone, code, said)
	factors, said, code := compress(run, in("factors"), "--rank", "4", "--factors")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, whole, "\nstored: whole, 1024 numbers\n")
	require.Contains(t, factors, "\nstored: factors, 204 numbers in place of 1024; transformers cannot read them\n")

	size := func(path string) int {
		info, err := os.Stat(filepath.Join(path, "discriminator", "model.safetensors"))
		require.NoError(t, err)
		return int(info.Size())
	}
	require.InDelta(t, 4*(1024-204), size(in("whole"))-size(in("factors")), 400, "the header says where factors lie")

	_, said, code = l.inProcess(t.Context(), "export", "--model", in("factors"), "--out", in("again"))
	require.Equal(t, exitDone, code, said)
	require.Equal(t, len(l.read(in("whole/discriminator/model.safetensors"))), len(l.read(in("again/discriminator/model.safetensors"))))

	for _, from := range []string{"again", "factors"} {
		_, said, code = l.inProcess(t.Context(), l.pretrain("of "+from, "go", 10, "--init-from", in(from))...)
		require.Equal(t, exitDone, code, said)
	}
	one, other := l.onlyRun("of again"), l.onlyRun("of factors")
	require.Equal(t, filepath.Base(one), filepath.Base(other), "the name of a run holds a hash of the weights that it began with")
	variables, metrics := l.state(one)
	variablesToo, metricsToo := l.state(other)
	require.Equal(t, variables, variablesToo)
	require.Equal(t, metrics, metricsToo)

	l.write("rows.tsv", "text\tlabel\n"+strings.Repeat("the readers\tno\nopen files\tyes\n", 12))
	task := l.write("mine.yaml", "kind: classification\ntrain: rows.tsv\ntest: rows.tsv\ntext: text\nlabel: label\n")
	_, said, code = l.inProcess(t.Context(), "finetune", "--model", in("factors"), "--task", task, "--out", in("tuned"), "--steps", "2", "--backend", "go")
	require.Equal(t, exitDone, code, said)
	input := l.write("in.jsonl", `{"text": "the readers"}`)
	var answers [2]string
	for i, from := range []string{"again", "factors"} {
		answers[i], said, code = l.inProcess(t.Context(), "predict", "--model", in(from), "--input", input)
		require.Equal(t, exitDone, code, said)
		_, said, code = l.inProcess(t.Context(), "grow", "--model", in(from), "--set", "main.width=32", "--out", in("grown of "+from), "--corpus", l.text, "--backend", "go")
		require.Equal(t, exitDone, code, said)
	}
	require.NotEmpty(t, answers[0])
	require.Equal(t, answers[0], answers[1])
	require.Equal(t, l.read(in("grown of again/discriminator/model.safetensors")), l.read(in("grown of factors/discriminator/model.safetensors")))
	card, said, code := l.inProcess(t.Context(), "card", "--model", in("factors"))
	require.Equal(t, exitDone, code, said)
	require.Contains(t, card, "Of these, 1,024 in 2 matrices are stored as factors of 204 numbers, and multiplied when the model is read.\n")

	twice, said, code := compress(in("factors"), in("twice"), "--target", "attention", "--method", "svd", "--rank", "3", "--factors")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, twice, "matrices as factors (6)")
	require.Contains(t, said, "multiplied when they are read: 2 (204 numbers in place of 1024)")

	for message, more := range map[string][]string{
		"noise has no factors that could be stored":                   {"--rank", "2", "--method", "noise"},
		"factors of rank 16 are 1536 numbers, no fewer than the 1024": {"--rank", "16", "--method", "svd"},
		"none of the others can be":                                   {"--experts", "2"},
	} {
		out := in("refused")
		args := []string{"--factors"}
		_, said, code := compress(run, out, append(args, more...)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}

	_, said, code = compress(run, in("factors"), "--rank", "2", "--factors")
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "is there already")

	require.NoError(t, os.Truncate(in("factors/discriminator/model.safetensors"), int64(size(in("factors"))-8)))
	_, said, code = l.inProcess(t.Context(), "export", "--model", in("factors"), "--out", in("damaged"))
	require.Equal(t, exitUser, code)
	require.Equal(t, 1, strings.Count(strings.TrimSpace(said), "\n")+1, said)
	require.NoDirExists(t, in("damaged"))
}
