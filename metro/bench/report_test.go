// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/viz/table"
)

// sampleReport is one that nothing was measured for.
func sampleReport(scale float64) Report {
	values := func(list ...float64) (scaled []float64) {
		for _, v := range list {
			scaled = append(scaled, v*scale)
		}
		return scaled
	}
	return Report{
		Schema: reportSchema, Suite: "step", Load: []float64{0.5, 2.25},
		Provenance: runs.Provenance{
			Started: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), CPU: "Some Processor", Cores: 2,
			Backend: runs.Backend{Name: "xla:cpu"}, Source: runs.Source{Commit: "0123456789abcdef", Dirty: true},
		},
		Cases: []Case{
			{Name: "tiny", Rows: 32, Length: 32, Vocab: 300, Text: "synthetic", Steps: 20,
				FLOPs: &metro.FLOPs{Auxiliary: 1e9, Vocabulary: 900e6, Main: 4e9, Heads: 21e3}, Weights: 131_161, Active: 98_000,
				Samples: map[string][]float64{
					TokensPerSecond: values(60_100, 60_900, 61_500, 60_300, 59_800, 61_000), CompileSeconds: {3.2},
					HostShare: {0.021, 0.02, 0.022, 0.021, 0.02, 0.021},
				}},
			{Name: "mini", Rows: 32, Length: 64, Vocab: 2048, Samples: map[string][]float64{TokensPerSecond: {9100, 9000, 9050, 9020, 8990, 9080}}},
		},
	}
}

// What is written is read again, and nothing is written over.
func TestReportRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.json")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	require.ErrorContains(t, CheckNew(filepath.Join(file, "new.json")), "cannot be written", "a file is no folder")
	r := sampleReport(1)
	require.NoError(t, r.Write(path))
	again, err := ReadReport(path)
	require.NoError(t, err)
	require.Equal(t, r, again)

	before, err := os.ReadFile(path)
	require.NoError(t, err)
	err = r.Write(path)
	require.True(t, usererr.Is(err), "%v", err)
	require.EqualError(t, err, path+" is there already, and nothing is written over; choose another name, or remove it")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "other": "{}", "list": "[]", "next": `{"schema": 2}`} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadReport(path)
		require.True(t, usererr.Is(err), "%s: %v", name, err)
		require.ErrorContains(t, err, path)
	}
	_, err := ReadReport(filepath.Join(dir, "nowhere"))
	require.True(t, usererr.Is(err), "%v", err)
}

func TestWhere(t *testing.T) {
	require.Equal(t, "2 cores Some Processor, xla:cpu, commit 0123456789ab with changes, load 0.5 to 2.2, 2026-03-01", sampleReport(1).Where())
}

func TestTables(t *testing.T) {
	tables := sampleReport(1).Tables()
	require.Equal(t, `recipe  rows × tokens     tokens/s  tokens/processor s  GFLOP/s  of matmul
──────  ─────────────  ───────────  ──────────────────  ───────  ─────────
tiny          32 × 32  60,600 ± 1%                   –        –          –
mini          32 × 64   9,035 ± 1%                   –        –          –
`, text(t, tables[0]))
	require.Equal(t, `recipe  peak memory  compile  loader wait  host time
──────  ───────────  ───────  ───────────  ─────────
tiny              –   3.20 s            –      2.1 %
mini              –        –            –          –
`, text(t, tables[1]))
	require.Equal(t, `operations a step  auxiliary trunk  vocabulary product  main trunk   heads     sum
─────────────────  ───────────────  ──────────────────  ──────────  ──────  ──────
tiny                        1.00 G               900 M      4.00 G  21.0 k  5.90 G
`, text(t, tables[2]))
	require.Equal(t, `recipe  weights  that a token meets
──────  ───────  ──────────────────
tiny    131,161              98,000
`, text(t, tables[3]))
}

func text(t *testing.T, tab table.Table) string {
	t.Helper()
	text, err := tab.Text(140)
	require.NoError(t, err)
	return text
}

// A difference beyond the spread has a ratio and a small p; one within it has ~. A single measurement proves nothing.
func TestCompare(t *testing.T) {
	list, err := Compare(sampleReport(1), sampleReport(1.25))
	require.NoError(t, err)
	var all string
	for _, c := range list {
		all += text(t, c.Table) + "\n"
	}
	require.Equal(t, `tokens/s                old          new  new/old  p
──────────────  ───────────  ───────────  ───────  ───────────
tiny            60,600 ± 1%  75,750 ± 1%   1.25 ×  p=0.002 n=6
mini             9,035 ± 1%   9,035 ± 1%        ~  p=1.000 n=6
geometric mean            –            –   1.12 ×  –

compile     old     new  new/old  p
───────  ──────  ──────  ───────  ───────────
tiny     3.20 s  3.20 s        ~  p=1.000 n=1

host time    old    new  new/old  p
─────────  ─────  ─────  ───────  ───────────
tiny       2.1 %  2.1 %        ~  p=1.000 n=6

`, all)
}

func TestCompareRefusesWhatIsUnlike(t *testing.T) {
	a, b := sampleReport(1), sampleReport(1)
	b.Suite = "scale"
	_, err := Compare(a, b)
	require.EqualError(t, err, `a report of the suite "step" cannot be compared with one of the suite "scale"`)
	_, err = Pool(a, b)
	require.EqualError(t, err, `a report of the suite "step" and one of the suite "scale" cannot be put together`)
	b = sampleReport(1)
	b.Cases[0].Rows = 64
	_, err = Compare(a, b)
	require.EqualError(t, err, "tiny was measured with 32 rows of 32 tokens and a vocabulary of 300, and now with 64 rows of 32 tokens and a vocabulary of 300: that cannot be compared")
	b.Cases = nil
	_, err = Compare(a, b)
	require.EqualError(t, err, "the two reports have no case in common")
}

// Reports of turns become one, and stay as they are.
func TestPool(t *testing.T) {
	a, b := sampleReport(1), sampleReport(1.5)
	b.Cases = append(b.Cases, Case{Name: "micro", Samples: map[string][]float64{StepSeconds: {1}}})
	all, err := Pool(a, b)
	require.NoError(t, err)
	require.Equal(t, sampleReport(1), a)
	require.Len(t, all.Load, 4)
	require.Len(t, all.Cases, 3)
	require.Len(t, all.Cases[0].Samples[TokensPerSecond], 12)
	require.Equal(t, []float64{3.2, 3.2}, all.Cases[0].Samples[CompileSeconds])
}

// The range of a few repetitions is their own, that of many an interval of their median.
func TestSpread(t *testing.T) {
	c := Case{Samples: map[string][]float64{StepSeconds: {3, 1, 2}, CallSeconds: {1, 2, 3, 4, 5, 6, 7, 8, 9, 100}}}
	low, high := c.Spread(StepSeconds)
	require.Equal(t, [3]float64{1, 2, 3}, [3]float64{low, c.Median(StepSeconds), high})
	low, high = c.Spread(CallSeconds)
	require.Equal(t, [2]float64{2, 9}, [2]float64{low, high})
	require.Equal(t, []float64{3, 1, 2}, c.Samples[StepSeconds], "the order of the repetitions stays")
}

func TestFormats(t *testing.T) {
	for want, got := range map[string]string{
		"1.50 µs": seconds(1.5e-6), "12.3 ms": seconds(0.0123), "3.20 s": seconds(3.2), "812 s": seconds(812), "250ns": seconds(250e-9),
		"0.4 %": percent(0.004), "12 %": percent(0.12), "10 %": percent(0.0999), "61,000": count(61_000), "9.04": count(9.04), "82.1": giga(82.1e9),
	} {
		require.Equal(t, want, got)
	}
}
