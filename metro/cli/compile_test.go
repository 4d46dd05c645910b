// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/hlo"
	"metrolab/metro/recipes"
)

// skipUnlessAhead skips a test where nothing compiles for a GPU; the reason says what to install.
func skipUnlessAhead(t *testing.T) {
	t.Helper()
	_, err := backend.OpenAhead("h100", backend.Needs{}, false)
	if usererr.Is(err) {
		t.Skipf("nothing compiles for a GPU here: %v", err)
	}
	require.NoError(t, err)
}

// The step of micro is compiled for a GPU that is not there, wherever scripts/setup --cuda was run.
func TestCompile(t *testing.T) {
	skipUnlessAhead(t)
	l := newLab(t)
	printed, said, code := l.inProcess(t.Context(), "compile", "--recipe", "micro", "--set", "training.deterministic=true", "--json")
	require.Equal(t, exitDone, code, said)
	var r compilation
	require.NoError(t, json.Unmarshal([]byte(printed), &r))
	require.Len(t, r.Graphs, 1)
	require.Equal(t, r.Graphs[0].Counts, r.Step)
	c := recipes.Micro()
	flops, err := c.FLOPs(r.Vocab)
	require.NoError(t, err)
	require.InEpsilon(t, flops.Total(), *r.Config, 1e-9)
	tokens := r.Rows * r.Length // of which each model looks up all, and the masked ones' states
	lookUps := 2 * 2 * (tokens*r.Vocab*c.EmbeddingWidth() + r.Rows*c.MaskedPositions()*r.Length*c.Main.Width)
	require.InEpsilon(t, *r.Config+float64(lookUps), r.Step.FLOPs(), 0.01, "the compiler keeps every product, and those of the look-ups' gradients")
	require.Equal(t, []hlo.Precision{hlo.InFloat32}, r.Step.Precisions())
	require.Zero(t, r.Step.Atomic, "deterministic")
	require.Zero(t, r.Step.Sorts)
	require.InEpsilon(t, r.Graphs[0].Memory.Arguments, r.Graphs[0].Memory.Aliases, 0.02, "all but the batch is written over")
	require.Positive(t, r.Step.Kernels)
	require.Positive(t, r.Step.Seconds)
	require.Zero(t, r.Step.Loops)
	require.Less(t, r.Ceiling, 1.0)
	require.Greater(t, r.Graphs[0].Memory.Peak, r.Graphs[0].Memory.Arguments)
}

// Ctrl-C does not wait for a compilation that leaves nothing behind.
func TestCompileIsLeftAtOnce(t *testing.T) {
	skipUnlessAhead(t)
	cmd := newLab(t).command("compile", "--recipe", "electra-small")
	said := start(t, cmd)
	said.within(t, time.Minute, "compiling for h100")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("Ctrl-C did not end it")
	}
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), said)
}

func TestCompileOfWhatIsNotThere(t *testing.T) {
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", t.TempDir())
	l := newLab(t)
	for want, given := range map[string][]string{
		`there is no target "b300"; there are a100, h100, h200`: {"--target", "b300"},
		"run ./scripts/setup --cuda":                            {"--recipe", "micro"},
		"nano":                                                  {"--recipe", "nano"},
		"main.layer":                                            {"--set", "main.layer=3"},
	} {
		_, said, code := l.inProcess(t.Context(), append([]string{"compile"}, given...)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, want)
	}
}

// A step in parts that keeps averages has four graphs, and its table a column for each and one for the whole.
func TestCompilationTable(t *testing.T) {
	counts := hlo.Counts{Kernels: 10, Products: map[hlo.Precision]hlo.Product{hlo.InTF32: {Count: 2, FLOPs: 100}}}
	r := compilation{Graphs: []compiled{{Graph: "accumulate", Times: 4, Counts: counts}, {Graph: "apply", Times: 1, Counts: hlo.Counts{Kernels: 3}}}}
	r.Step = counts.Times(4).Plus(hlo.Counts{Kernels: 3})
	text, err := r.table().Text(120)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^graph +accumulate +apply +a step$`, text)
	require.Regexp(t, `(?m)^times a step +4 +1 +–$`, text)
	require.Regexp(t, `(?m)^kernels +10 +3 +43$`, text)
	require.Regexp(t, `(?m)^products in TF32, of float32 +2, 100 FLOP +0, 0 FLOP +8, 400 FLOP$`, text)
}
