// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
)

// within is how far an estimate of temporaries may be from what XLA's compiler says.
const within = 0.15

// temporary is the most that one of the graphs of a step needs.
func (r record) temporary() (most float64) {
	for _, g := range r.Graphs {
		most = max(most, float64(g.Memory.Temporary))
	}
	return most
}

func (r record) compiler() Compiler {
	if r.Target == string(XLACPU) {
		return XLACPU
	}
	return XLACUDA
}

// recordsOf returns those of a compiler and a precision that the coefficients are fitted to, or those that they are tested on.
func recordsOf(t *testing.T, compiler Compiler, named string, fit bool) (list []record) {
	for _, r := range readRecords(t) {
		c, err := r.config()
		require.NoError(t, err)
		if r.Graphs != nil && r.Fit == fit && r.compiler() == compiler && precision(c) == named {
			list = append(list, r)
		}
	}
	return list
}

// The estimates of steps that the coefficients have never seen are within 15 % of what XLA compiled them to, and so are those of
// steps that they were fitted to.
func TestTemporariesAreNearTheCompilers(t *testing.T) {
	tested := map[Compiler]int{}
	for _, r := range readRecords(t) {
		if r.Graphs == nil {
			continue
		}
		c, err := r.config()
		require.NoError(t, err, r)
		estimate, err := Temporaries(c, r.compiler())
		require.NoError(t, err, r)
		off := estimate/r.temporary() - 1
		t.Logf("%+6.1f %% fit=%-5v %8.1f MB %s", 100*off, r.Fit, r.temporary()/1e6, r)
		require.InDelta(t, 0, off, within, r)
		if !r.Fit {
			tested[r.compiler()]++
		}
	}
	require.GreaterOrEqual(t, tested[XLACPU], 4)
	require.GreaterOrEqual(t, tested[XLACUDA], 9)
}

// What stays from step to step, and what a step reads, are the compiled step's arguments to the byte.
func TestStateIsTheCompiledStepsToTheByte(t *testing.T) {
	for _, r := range readRecords(t) {
		if len(r.Graphs) != 1 || r.Note != "" {
			continue // arguments of several graphs are parts of the state; what has a note is not exact
		}
		c, err := r.config()
		require.NoError(t, err, r)
		inv, err := inventoryOf(c)
		require.NoError(t, err, r)
		require.Equal(t, float64(r.Graphs[0].Memory.Arguments), stateOf(c, inv).Total(), r)
	}
}

// The coefficients are those that least squares of the logarithms give; METROLAB_CALIBRATE=fit writes them.
func TestCoefficientsAreTheFit(t *testing.T) {
	write := os.Getenv("METROLAB_CALIBRATE") == "fit"
	all := map[Compiler]map[string]coefficients{}
	for _, compiler := range []Compiler{XLACPU, XLACUDA} {
		all[compiler] = map[string]coefficients{}
		like := usual
		for _, named := range []string{"float32", "bfloat16", "bfloat16 activations"} {
			list := recordsOf(t, compiler, named, true)
			k := fit(t, list, like)
			if named == "float32" {
				like = k
			}
			all[compiler][named] = k
			if write {
				continue
			}
			again := "%s %s: set METROLAB_CALIBRATE=fit to fit again"
			require.Equal(t, k.Records, fitted[compiler][named].Records, again, compiler, named)
			require.InDelta(t, 1, loss(t, list, fitted[compiler][named])/loss(t, list, k), 0.05, again, compiler, named)
		}
	}
	if write {
		text, err := json.MarshalIndent(all, "", "  ")
		require.NoError(t, err)
		require.NoError(t, atomicfile.WriteFile("coefficients.json", append(bytes.TrimSpace(text), '\n')))
	}
}

// numbers are the coefficients as a vector of their logarithms, and back.
func (k coefficients) numbers() []float64 {
	x := []float64{k.Hidden, k.Inner, k.Attention, k.Vocabulary, k.Table, k.Kept}
	for i := range x {
		x[i] = math.Log(x[i])
	}
	return x
}

func coefficientsOf(x []float64) coefficients {
	at := func(i int) float64 { return math.Round(1e4*math.Exp(x[i])) / 1e4 }
	return coefficients{Hidden: at(0), Inner: at(1), Attention: at(2), Vocabulary: at(3), Table: at(4), Kept: at(5)}
}

// usual are buffers as one would count them in the graph, from which the fit of float32 starts. Others start from float32's.
var usual = coefficients{Hidden: 10, Inner: 3, Attention: 1.5, Vocabulary: 1, Table: 1.5, Kept: 4}

// fit finds the coefficients with the least squares of the logarithms of estimate ÷ compiled. A ridge keeps those near the ones of
// like that the records say little about.
func fit(t *testing.T, list []record, like coefficients) coefficients {
	const ridge = 1e-3
	start := like.numbers()
	pull := func(x []float64) (sum float64) {
		for i := range x {
			sum += ridge * (x[i] - start[i]) * (x[i] - start[i])
		}
		return sum
	}
	of := losses(t, list)
	value := func(x []float64) float64 {
		return of(coefficientsOf(x)) + pull(x)
	}
	k := coefficientsOf(descend(value, start))
	k.Records = len(list)
	for _, r := range list {
		if slices.Contains(r.Set, "training.activation_checkpointing=true") {
			k.Checkpointed++
		}
	}
	return k
}

// descend looks for the least value around x, one coordinate at a time, by steps that are halved where none leads down.
func descend(value func([]float64) float64, x []float64) []float64 {
	x, least := slices.Clone(x), value(x)
	for step := 0.5; step > 1e-4; step /= 2 {
		for down := true; down; {
			down = false
			for i := range x {
				for _, by := range []float64{step, -step} {
					x[i] += by
					if now := value(x); now < least-1e-12 {
						least, down = now, true
					} else {
						x[i] -= by
					}
				}
			}
		}
	}
	return x
}

// losses is the function that is made small.
func losses(t *testing.T, list []record) func(coefficients) float64 {
	var sizes []buffers
	for _, r := range list {
		c, err := r.config()
		require.NoError(t, err)
		inv, err := inventoryOf(c)
		require.NoError(t, err)
		sizes = append(sizes, buffersOf(c, inv))
	}
	return func(k coefficients) (sum float64) {
		for i, r := range list {
			off := math.Log(sizes[i].bytes(k, 1) / r.temporary())
			sum += off * off
		}
		return sum
	}
}

func loss(t *testing.T, list []record, k coefficients) float64 { return 1e-4 + losses(t, list)(k) }

// A step that is compiled here and now is estimated as the recorded ones are.
func TestTemporariesOfAStepCompiledNow(t *testing.T) {
	list := []record{{Target: string(XLACPU), Recipe: "micro"}}
	if os.Getenv("METROLAB_TEST_LONG") != "" {
		list = append(list, record{Target: "h100", Recipe: "metro-base", Set: strings.Fields("main.layers=2 main.width=256 main.heads=4 main.ffn=1024 " +
			"generator.size=shallow_third training.batch_size=64 data.seq_len=128 data.vocab_size=8192 training.matmul=bfloat16")})
	}
	for _, r := range list {
		require.NoError(t, r.compile(t))
		c, err := r.config()
		require.NoError(t, err)
		estimate, err := Temporaries(c, r.compiler())
		require.NoError(t, err)
		require.InEpsilon(t, r.temporary(), estimate, within, r)
		inv, err := inventoryOf(c)
		require.NoError(t, err)
		require.Equal(t, float64(r.Graphs[0].Memory.Arguments), stateOf(c, inv).Total())
	}
}
