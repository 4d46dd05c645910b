// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/faultfs"
)

func TestMetricsText(t *testing.T) {
	path := filepath.Join(t.TempDir(), MetricsFile)
	log, err := OpenMetrics(path, nil)
	require.NoError(t, err)
	require.NoError(t, log.Record(0, nil))
	require.NoError(t, log.Record(10, Values{"loss/rtd": 0.1, "a<b": 1e21, "nan": math.NaN(), "up": math.Inf(1), "down": math.Inf(-1)}))
	require.NoError(t, log.Record(10, Values{"auc": 1}), "a step may have several lines")
	require.NoError(t, log.Sync())
	require.NoError(t, log.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `{"step":0}
{"step":10,"a<b":1e+21,"down":"-Infinity","loss/rtd":0.1,"nan":"NaN","up":"Infinity"}
{"step":10,"auc":1}
`, string(text))

	rows, err := ReadMetrics(path)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.True(t, math.IsNaN(rows[1].Values["nan"]))
	delete(rows[1].Values, "nan")
	require.Equal(t, Row{Step: 10, Values: Values{"loss/rtd": 0.1, "a<b": 1e21, "up": math.Inf(1), "down": math.Inf(-1)}}, rows[1])
}

func TestAppendRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), MetricsFile)
	log, err := OpenMetrics(path, nil)
	require.NoError(t, err)
	defer log.Close()
	require.ErrorContains(t, log.Record(-1, nil), "step -1 comes after step -1")
	require.NoError(t, log.Record(5, nil))
	require.ErrorContains(t, log.Record(4, nil), "step 4 comes after step 5")
	require.ErrorContains(t, log.Record(6, Values{"step": 1}), `no value can be named "step"`)
	require.ErrorContains(t, log.Record(6, Values{strings.Repeat("n", maxLine): 1}), "has 1048592 bytes; lines of up to 1048576")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{\"step\":5}\n", string(text))
}

func TestReadMetricsDamage(t *testing.T) {
	cases := map[string]struct {
		text  string
		steps []int
		want  []string
	}{
		"empty":            {"", nil, nil},
		"torn":             {"{\"step\":1}\n{\"st", []int{1}, nil},
		"torn at its end":  {"{\"step\":1}\n{\"step\":2}", []int{1}, nil},
		"torn only":        {"{", nil, nil},
		"middle":           {"{\"step\":1}\n{\"step\"\n{\"step\":3}\n", []int{1, 3}, []string{"line 2 is damaged: unexpected"}},
		"zeros":            {"{\"step\":1}\n\x00\x00\x00\n", []int{1}, []string{"line 2"}},
		"empty line":       {"\n{\"step\":1}\n", []int{1}, []string{"line 1"}},
		"two in one":       {"{\"step\":1}{\"step\":2}\n", nil, []string{"line 1"}},
		"no step":          {"{\"loss\":1}\n", nil, []string{`"step" is missing`}},
		"fractional step":  {"{\"step\":1.5}\n", nil, []string{"not a whole number"}},
		"negative step":    {"{\"step\":-1}\n", nil, []string{"not a whole number"}},
		"huge step":        {"{\"step\":1e300}\n", nil, []string{"not a whole number"}},
		"NaN step":         {"{\"step\":\"NaN\"}\n", nil, []string{"not a whole number"}},
		"text":             {"{\"step\":1,\"loss\":\"low\"}\n", nil, []string{`"loss": "low" is not a number`}},
		"null value":       {"{\"step\":1,\"loss\":null}\n", nil, []string{`"loss"`}},
		"null line":        {"null\n", nil, []string{"null where an object should be"}},
		"too large number": {"{\"step\":1,\"loss\":1e999}\n", nil, []string{"out of range"}},
		"endless line":     {strings.Repeat("x", maxLine+1) + "\n{\"step\":1}\n", []int{1}, []string{"line 1 is damaged: 1048578 bytes"}},
		"many":             {strings.Repeat("x\n", 100), nil, []string{"line 10 is", "and 90 more lines"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), MetricsFile)
			write(t, path, c.text)
			rows, err := ReadMetrics(path)
			var steps []int
			for _, row := range rows {
				steps = append(steps, row.Step)
			}
			require.Equal(t, c.steps, steps)
			if c.want == nil {
				require.NoError(t, err)
			}
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, err, path)
			}
		})
	}
	_, err := ReadMetrics(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTruncateAfter(t *testing.T) {
	const good = "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"a\":1}\n{\"step\":4}\n"
	cases := map[string]struct {
		text string
		step int
		left string
		want string
	}{
		"nothing to cut":         {good, 4, good, ""},
		"beyond the end":         {good, 9, good, ""},
		"all lines of a step":    {good, 2, "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"a\":1}\n", ""},
		"between steps":          {good, 3, "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"a\":1}\n", ""},
		"everything":             {good, -1, "", ""},
		"empty":                  {"", 3, "", ""},
		"torn":                   {good + "{\"ste", 4, good, ""},
		"torn and cut":           {good + "{\"ste", 1, "{\"step\":1}\n", ""},
		"damage after the cut":   {"{\"step\":1}\n\x00\x00\n{\"step\":3}\n", 1, "{\"step\":1}\n", ""},
		"damage at the end":      {good + "\x00\x00\n", 4, good, ""},
		"damage before the cut":  {"{\"step\":1}\nxx\nxx\n{\"step\":3}\n{\"step\":4}\n", 3, "", "line 2 is damaged"},
		"steps that go back":     {good + "{\"step\":3}\n", 3, "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"a\":1}\n", ""},
		"steps back before that": {good + "{\"step\":1}\n", 1, "{\"step\":1}\n", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), MetricsFile)
			write(t, path, c.text)
			log, err := OpenMetrics(path, nil)
			require.NoError(t, err)
			defer log.Close()
			err = log.TruncateAfter(c.step)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, path)
				c.left = c.text
			} else {
				require.NoError(t, err)
				next := max(c.step, 0) + 1
				require.NoError(t, log.Record(next, nil))
				c.left += string(rowText(next, nil))
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.left, string(text))
		})
	}
}

// A line that does not fit is taken back, so that the next one begins at a line's begin; if even that fails, nothing
// more is written behind the torn line.
func TestAppendOnAFullDisk(t *testing.T) {
	for _, forever := range []bool{false, true} {
		d := faultfs.New()
		log, err := openMetrics(d.Disk(), "/metrics.jsonl", nil)
		require.NoError(t, err)
		require.NoError(t, log.Record(1, Values{"loss": 1}))
		d.Ops, d.FailAt, d.Forever = 0, 1, forever
		err = log.Record(2, Values{"loss": 2})
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "metrics /metrics.jsonl, step 2, 20 bytes")
		d.Heal()
		err = log.Record(2, Values{"loss": 3})
		text, _ := readFile(d.Disk(), "/metrics.jsonl")
		if forever {
			require.ErrorContains(t, err, "ends in a torn line")
			require.Equal(t, "{\"step\":1,\"loss\":1}\n{\"step\":2,", string(text))
			log, err = openMetrics(d.Disk(), "/metrics.jsonl", nil)
			require.NoError(t, err)
			require.NoError(t, log.Record(2, Values{"loss": 3}))
			text, _ = readFile(d.Disk(), "/metrics.jsonl")
		}
		require.Equal(t, "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":3}\n", string(text))
	}
}

func TestFenceOfMetrics(t *testing.T) {
	closed := errors.New("closed")
	path := filepath.Join(t.TempDir(), MetricsFile)
	_, err := OpenMetrics(path, func() error { return closed })
	require.ErrorIs(t, err, closed)
	require.NoFileExists(t, path)
}

func TestValuesRoundTrip(t *testing.T) {
	values := Values{"tiny": math.SmallestNonzeroFloat64, "max": math.MaxFloat64, "third": 1.0 / 3, "zero": math.Copysign(0, -1), "up": math.Inf(1)}
	text, err := json.Marshal(map[string]Values{"v": values})
	require.NoError(t, err)
	var got map[string]Values
	require.NoError(t, json.Unmarshal(text, &got))
	for name, want := range values {
		require.Equal(t, math.Float64bits(want), math.Float64bits(got["v"][name]), name)
	}
}

// Whatever the bytes, the good rows survive being written and read again, and cutting behind the last one keeps them.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte("{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":\"NaN\"}\n"), 1)
	f.Add([]byte("{\"step\":1}\n\x00\x00\n{\"step\":3"), 3)
	f.Add([]byte("{\"step\":5}\n{\"step\":4}\n"), 4)
	f.Add([]byte("{\"step\":1,\"\\ud800\":-0.0,\"a\":1,\"a\":2}\n"), 0)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		rows, _ := readRows(bytes.NewReader(text))
		var out []byte
		for _, row := range rows {
			out = append(out, rowText(row.Step, row.Values)...)
		}
		again, err := readRows(bytes.NewReader(out))
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows, then %d: %v", len(rows), len(again), err)
		}
		for i, row := range rows {
			if !bytes.Equal(rowText(row.Step, row.Values), rowText(again[i].Step, again[i].Values)) {
				t.Fatalf("row %d changed: %v, %v", i, row, again[i])
			}
		}
		d := faultfs.New()
		if err := d.Disk().CreateFile("/m", text); err != nil {
			t.Fatal(err)
		}
		log, err := openMetrics(d.Disk(), "/m", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.TruncateAfter(step); err != nil {
			return
		}
		left, _ := readFile(d.Disk(), "/m")
		kept, err := readRows(bytes.NewReader(left))
		if err != nil || !bytes.HasPrefix(text, left) {
			t.Fatalf("after the cut: %v", err)
		}
		for i, row := range kept {
			if row.Step > step || !reflect.DeepEqual(rowText(row.Step, row.Values), rowText(rows[i].Step, rows[i].Values)) {
				t.Fatalf("row %d is of step %d", i, row.Step)
			}
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	run, err := Store{Root: b.TempDir()}.Create("bench", 1)
	require.NoError(b, err)
	lease, err := run.Acquire()
	require.NoError(b, err)
	defer lease.Release()
	log, err := lease.Metrics()
	require.NoError(b, err)
	defer log.Close()
	values := Values{}
	for _, name := range strings.Fields("loss loss/gen loss/rtd loss/clm auc grad_norm tokens_per_s wait") {
		values[name] = 1.0 / 3
	}
	step := 0
	for b.Loop() {
		step++
		require.NoError(b, log.Record(step, values))
	}
}
