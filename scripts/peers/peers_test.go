// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/viz/table"
)

func TestSpread(t *testing.T) {
	require.Equal(t, spread{2, 1, 9}, spreadOf([]float64{9, 1, 2}))
	require.Equal(t, spread{2.5, 1, 9}, spreadOf([]float64{9, 3, 1, 2}))
	require.Equal(t, "2.50 (1.00–9.00)", spread{2.5, 1, 9}.String())
	require.Equal(t, "–", spreadOf(nil).String())
}

// sample is a peer that takes longer than metrolab, by the given factors of a processor second in three pairs.
func sample(shape, name string, memory int, factors ...float64) comparison {
	c := comparison{Shape: shape, Name: name, Tokens: 100}
	c.Mine = about{Version: "here", Parameters: 10, FLOPs: 2e9, Losses: []map[string]float64{{"generator": 10.3, "rtd": 0.7}}}
	c.Theirs, c.Last = c.Mine, map[string]float64{"generator": 9, "rtd": 0.5}
	for i, f := range factors {
		c.Pairs = append(c.Pairs, pair{cost{2, 1}, cost{2 * f, f}, float64(i)})
	}
	c.Memory.Metrolab, c.Memory.Peer = 600e6, memory
	return c
}

func TestRatios(t *testing.T) {
	failed := comparison{Shape: "tiny", Name: "hf", Failure: "no such class"}
	got, err := ratios([]comparison{sample("tiny", "jax", 500e6, 1.5, 1, 2), failed}).Markdown()
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(got), "\n")
	require.Equal(t, "| jax | 33 | 67 | 100 | 1.50 (1.00–2.00) | 1.50 (1.00–2.00) | 500 | 1.20 | 0–2 |", rows[2])
	require.Contains(t, rows[3], "did not run")
}

func TestSameMathsShowsBothSides(t *testing.T) {
	failed := comparison{Failure: "no such class"}
	got := sameMaths([]comparison{failed, sample("tiny", "jax", 1, 1)})
	require.Len(t, got.Rows, 2)
	require.Equal(t, []any{"metrolab", 10, 2.0, "generator 10.30000, rtd 0.70000", "generator 10.30000, rtd 0.70000", nil, "here"}, got.Rows[0])
	require.Equal(t, "generator 9.00000, rtd 0.50000", got.Rows[1][5])
}

// Of several peers it is the fastest that counts, and of several memories the least.
func TestVerdicts(t *testing.T) {
	lines := verdicts([]comparison{
		sample("electra-small", "jax", 600e6, 1.5), sample("electra-small", "jax-tricks", 500e6, 1.3),
		sample("electra-small", "jax-scan", 300e6, 1.1), {Shape: "electra-small", Name: "hf", Failure: "no network"},
	})
	require.Equal(t, []string{
		"electra-small: at least 1.40 × JAX as one would write it first (jax): met, 1.50 a processor second, 1.50 by the clock",
		"electra-small: at least 1.15 × JAX with the same tricks (jax-scan): not met, 1.10 a processor second, 1.10 by the clock",
		"electra-small: peak memory at most 1.20 × JAX's: not met, 1.00 to 2.00",
	}, lines)
	require.Empty(t, verdicts(nil))
}

func TestReportHasEveryShapeOnce(t *testing.T) {
	r := report{Comparisons: []comparison{sample("tiny", "jax", 1, 1), sample("electra-small", "jax", 1, 1)}}
	got, err := r.print(table.Table.Markdown)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(got, "tiny: 2 layers"))
	require.Equal(t, 1, strings.Count(got, "electra-small: 12 layers"))
	require.NotContains(t, got, "wordpiece")
}

// Who measures a peer again replaces it and keeps the others; the report of another machine is not gone on with.
func TestReportIsGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	r, err := readReport(dir)
	require.NoError(t, err)
	r.add(sample("tiny", "torch", 1, 1))
	r.add(sample("tiny", "jax", 1, 1))
	require.NoError(t, r.write(dir))
	r, err = readReport(dir)
	require.NoError(t, err)
	r.add(sample("tiny", "jax", 1, 3))
	list := r.at(shapes[2])
	require.Len(t, list, 2)
	require.Equal(t, "jax", list[0].Name)
	require.Equal(t, 3.0, list[0].faster(processor).Median)

	r.Machine = "another"
	require.NoError(t, r.write(dir))
	r, err = readReport(dir)
	require.NoError(t, err)
	require.Empty(t, r.Comparisons)
	require.NoError(t, os.WriteFile(filepath.Join(dir, reportFile), []byte("{"), 0o600))
	_, err = readReport(dir)
	require.True(t, usererr.Is(err))
}

func TestStateOfAProcess(t *testing.T) {
	const line = "4711 (a b) 1) S 1 2 3 4 5 6 7 8 9 10 250 50 7 8 20 0 3"
	seconds, err := parseStat(line)
	require.NoError(t, err)
	require.InDelta(t, 3.0, seconds, 1e-9)
	_, err = parseStat("4711 (a) S 1")
	require.Error(t, err)

	peak, err := parsePeak("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n")
	require.NoError(t, err)
	require.Equal(t, 2<<20, peak)
	_, err = parsePeak("Name:\tx\n")
	require.Error(t, err)
}

func TestNames(t *testing.T) {
	got, err := shapesNamed("tiny,wordpiece")
	require.NoError(t, err)
	require.Equal(t, []string{"tiny", "wordpiece"}, []string{got[0].name, got[1].name})
	_, err = peersNamed("jaxx")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `there is no peer "jaxx"`)
	for _, p := range peers {
		_, err := shapesNamed(strings.Join(p.shapes, ","))
		require.NoError(t, err, p.name)
	}
	for _, target := range targets {
		_, err := peersNamed(strings.Join(target.peers, ","))
		require.NoError(t, err)
	}
}

// Every position that is masked is another one of its row, between [CLS] and [SEP], and shows [MASK].
func TestBatches(t *testing.T) {
	for _, s := range shapes {
		if s.recipe == "" {
			continue
		}
		c, err := s.config()
		require.NoError(t, err)
		list := batches(c)
		require.Len(t, list, batchCount)
		require.NotEqual(t, list[0].Tokens, list[1].Tokens)
		length, slots := c.Data.SeqLen, c.MaskedPositions()
		for _, b := range list {
			require.Len(t, b.Tokens, s.batch*length)
			require.Len(t, b.Uniforms, s.batch*slots)
			seen := map[int]bool{}
			for i, at := range b.Positions {
				require.True(t, 0 < at && int(at) < length-1)
				seen[i/slots*length+int(at)] = true
			}
			require.Len(t, seen, s.batch*slots)
			for i, id := range b.Tokens {
				require.Less(t, int(id), c.Data.VocabSize)
				if seen[i] {
					require.EqualValues(t, maskID, b.Masked[i])
				} else {
					require.Equal(t, id, b.Masked[i])
				}
			}
		}
	}
}

// python runs a program over the peers' own modules that needs no package.
func python(t *testing.T, program string) []byte {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3; install it")
	}
	command := exec.CommandContext(t.Context(), path, "-B", "-c", program)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	require.NoError(t, err, said.String())
	return out
}

func TestPythonCompiles(t *testing.T) {
	files, err := filepath.Glob("*.py")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	python(t, fmt.Sprintf("for f in %q.split(): compile(open(f).read(), f, 'exec')", strings.Join(files, " ")))
}

// The two rules that the peers have in Python and metrolab in Go: buckets of relative positions, and what decays.
func TestPythonAgrees(t *testing.T) {
	decays := map[string]bool{}
	for _, s := range shapes {
		if s.recipe == "" {
			continue
		}
		c, err := s.config()
		require.NoError(t, err)
		inv, complete := c.Inventory(c.Data.VocabSize)
		require.True(t, complete)
		for _, w := range inv {
			decays[w.Tensor()] = w.Role.Decays()
		}
	}
	names, err := json.Marshal(slices.Collect(maps.Keys(decays)))
	require.NoError(t, err)
	var got struct {
		Buckets [][]int
		Decays  map[string]bool
	}
	const program = "import json, peer; print(json.dumps({'buckets': peer.offsets(200, 32, 128), 'decays': {n: peer.decays(n) for n in %s}}))"
	require.NoError(t, json.Unmarshal(python(t, fmt.Sprintf(program, names)), &got))
	require.Equal(t, decays, got.Decays)
	require.Len(t, got.Buckets, 200)
	for q, row := range got.Buckets {
		for k, bucket := range row {
			require.Equal(t, layers.SignedLogBucket(k-q, 32, 128), bucket)
		}
	}
}

// A worker answers as the peers do.
func TestServe(t *testing.T) {
	steps := 0
	w := worker{
		about: about{Version: "here"},
		step:  func(i int) error { require.Equal(t, steps, i); steps++; return nil },
		loss:  func() (map[string]float64, error) { return map[string]float64{"loss": 1 / float64(steps)}, nil },
	}
	var out bytes.Buffer
	require.NoError(t, w.serve(strings.NewReader("3\n1\n"), &out))
	answers := json.NewDecoder(&out)
	var first about
	require.NoError(t, answers.Decode(&first))
	require.Len(t, first.Losses, warmUp)
	for _, done := range []float64{warmUp + 3, warmUp + 4} {
		var a answer
		require.NoError(t, answers.Decode(&a))
		require.Equal(t, 1/done, a.Loss["loss"])
	}
	steps = 0
	require.Error(t, w.serve(strings.NewReader("many\n"), &out))
}

func TestIgnorance(t *testing.T) {
	for name, want := range map[string]string{"electra-small": "generator 10.32620, rtd 0.69315", "tiny": "generator 5.70378, rtd 0.69315, clm 5.70378"} {
		list, err := shapesNamed(name)
		require.NoError(t, err)
		c, err := list[0].config()
		require.NoError(t, err)
		require.Equal(t, want, parts(ignorance(c)))
	}
}
