// SPDX-License-Identifier: Apache-2.0

package corruptions_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/corruptions"
)

func made(vocab int) corruptions.Made {
	return corruptions.Made{
		Generator: "g", Corpus: "c", Tokenizer: "t", Settings: map[string]string{"seed": "3"}, Backend: "go",
		Vocab: vocab, Steps: 40, Batch: 2, Slots: 3, HeldOut: 5,
	}
}

// slots are those of row n: what would be there, the last of them empty.
func slots(n, vocab int) (positions, samples []int32, weights []float32) {
	return []int32{int32(n % 7), int32(n%7 + 1), 0}, []int32{int32(vocab - 1 - n%5), int32(n % 3), 0}, []float32{1, 1, 0}
}

func write(t *testing.T, dir string, vocab, from, to int) *corruptions.Writer {
	t.Helper()
	w, err := corruptions.Create(dir, made(vocab))
	require.NoError(t, err)
	require.Equal(t, from, w.Rows())
	for n := from; n < to; n++ {
		require.NoError(t, w.Add(slots(n, vocab)))
	}
	return w
}

// What was written is read, in either width of ids, by steps and by rows that are held out.
func TestWrittenIsRead(t *testing.T) {
	for _, vocab := range []int{300, 70_000} {
		dir := filepath.Join(t.TempDir(), "c")
		w := write(t, dir, vocab, 0, 85)
		_, err := corruptions.Open(dir)
		require.ErrorContains(t, err, "have 84 of 85 rows; give the metro corrupt command again")
		require.NoError(t, w.Finish())
		require.NoError(t, w.Finish())
		r, err := corruptions.Open(dir)
		require.NoError(t, err)
		require.EqualValues(t, 85*3*(2+map[int]int{300: 2, 70_000: 4}[vocab]), r.Bytes)
		for step := range 40 {
			p0, s0, w0 := slots(2*step, vocab)
			p1, s1, w1 := slots(2*step+1, vocab)
			samples, err := r.Step(step, append(p0, p1...), append(w0, w1...))
			require.NoError(t, err)
			require.Equal(t, append(s0, s1...), samples)
		}
		for row := range 5 {
			p, s, w := slots(80+row, vocab)
			samples, err := r.HeldOutRows(row, p, w)
			require.NoError(t, err)
			require.Equal(t, s, samples)
		}
		p, _, weights := slots(1, vocab)
		_, err = r.Step(0, append(p, p...), append(weights, weights...))
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, "row 0 of "+dir+" was drawn for other masked positions (0 where the run has 1)")
		_, err = r.Step(40, p, weights)
		require.Error(t, err)
		_, err = r.HeldOutRows(5, p, weights)
		require.Error(t, err)
		require.NoError(t, r.Close())
		require.ErrorIs(t, r.Close(), os.ErrClosed)
		_, err = r.Step(0, p, weights)
		require.ErrorIs(t, err, os.ErrClosed)
	}
}

// A folder that holds something else is left as it is.
func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "diary.txt"), []byte("mine"), 0o666))
	_, err := corruptions.Create(dir, made(300))
	require.ErrorContains(t, err, "is not empty, and holds no corruptions")
	_, err = corruptions.Create(filepath.Join(dir, "diary.txt"), made(300))
	require.Error(t, err)

	dir = filepath.Join(dir, "c")
	require.NoError(t, write(t, dir, 300, 0, 85).Finish())
	for want, other := range map[string]func(m *corruptions.Made){
		"seed is 3 there, and 4 here":              func(m *corruptions.Made) { m.Settings = map[string]string{"seed": "4"} },
		"seed is 3 there, and not set here":        func(m *corruptions.Made) { m.Settings = nil },
		"of another generator":                     func(m *corruptions.Made) { m.Generator = "h" },
		"of another text":                          func(m *corruptions.Made) { m.Mixture = []corruptions.Mixed{{Corpus: "d", Share: 1}} },
		"of another tokenizer":                     func(m *corruptions.Made) { m.Tokenizer = "u" },
		"begun on the backend go, and this one is": func(m *corruptions.Made) { m.Backend = "xla-cpu" },
		"other sizes":                              func(m *corruptions.Made) { m.HeldOut = 6 },
	} {
		m := made(300)
		other(&m)
		_, err := corruptions.Create(dir, m)
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, want)
	}
	require.True(t, write(t, dir, 300, 85, 85).Done())
}

// Whatever happens to a file of corruptions is found out, and the command that made them mends it.
func TestDamageIsFoundAndMended(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	require.NoError(t, write(t, dir, 300, 0, 85).Finish())
	shard, index := filepath.Join(dir, "00003.rows"), filepath.Join(dir, "corruptions.json")
	whole, err := os.ReadFile(shard)
	require.NoError(t, err)
	for name, harm := range map[string]func() error{
		"flipped":   func() error { return os.WriteFile(shard, append([]byte{whole[0] ^ 1}, whole[1:]...), 0o666) },
		"truncated": func() error { return os.Truncate(shard, 3) },
		"empty":     func() error { return os.Truncate(shard, 0) },
		"gone":      func() error { return os.Remove(shard) },
	} {
		require.NoError(t, harm(), name)
		_, err := corruptions.Open(dir)
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, "are damaged", name)
		require.ErrorContains(t, err, shard, name)
		w, err := corruptions.Create(dir, made(300))
		require.NoError(t, err)
		require.False(t, w.Done())
		for n := w.Rows(); n < 85; n++ {
			require.NoError(t, w.Add(slots(n, 300)))
		}
		require.NoError(t, w.Finish())
		again, err := os.ReadFile(shard)
		require.NoError(t, err)
		require.Equal(t, whole, again, name)
	}
	text, err := os.ReadFile(index)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(index, []byte(strings.Replace(string(text), `"steps": 40`, `"steps": 41`, 1)), 0o666))
	_, err = corruptions.Look(dir)
	require.ErrorContains(t, err, "does not fit its own SHA-256")
	_, err = corruptions.Create(dir, made(300))
	require.ErrorContains(t, err, "remove the folder, or write to another")
	_, err = corruptions.Look(t.TempDir())
	require.ErrorContains(t, err, "holds no corruptions: there is no corruptions.json in it; metro corrupt writes such a folder")
}

// An index says what it said when it is read, or is refused.
func FuzzIndex(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "c")
	w, err := corruptions.Create(dir, made(300))
	require.NoError(f, err)
	for n := range 85 {
		require.NoError(f, w.Add(slots(n, 300)))
	}
	require.NoError(f, w.Finish())
	text, err := os.ReadFile(filepath.Join(dir, "corruptions.json"))
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"format":"metrolab corruptions 1","made":{"vocab":-1}}`))
	f.Add([]byte(`{"format":"metrolab corruptions 1","shards":[{"rows":99999999999}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "corruptions.json"), text, 0o666))
		about, err := corruptions.Look(dir)
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		require.Positive(t, about.Rows())
		r, err := corruptions.Open(dir)
		require.True(t, err == nil || usererr.Is(err), "%v", err)
		if err == nil {
			require.NoError(t, r.Close())
		}
	})
}

// Two rows are drawn for a step, and one is held out.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w, err := corruptions.Create(dir, corruptions.Made{Vocab: 300, Steps: 1, Batch: 2, Slots: 2, HeldOut: 1})
	if err != nil {
		panic(err)
	}
	for range 3 {
		if err := w.Add([]int32{4, 9}, []int32{17, 256}, []float32{1, 1}); err != nil {
			panic(err)
		}
	}
	if err := w.Finish(); err != nil {
		panic(err)
	}
	r, err := corruptions.Open(dir)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	samples, err := r.Step(0, []int32{4, 9, 4, 9}, []float32{1, 1, 1, 1})
	fmt.Println(samples, r.Bytes, "bytes", err)
	// Output: [17 256 17 256] 24 bytes <nil>
}

// What is kept of a distribution is that distribution where all is kept, at every temperature, and its likeliest part where less is.
func TestDistributions(t *testing.T) {
	logits := []float32{0.5, 2, -1, 3, 0, 1, 1, -20}
	frequencies := []float32{-1, -2, -3, -1, -2, -3, -1, -1e9}
	for _, temperature := range []float64{0.5, 1, 2, 4} {
		want, sum := make([]float64, len(logits)), 0.0
		for i, l := range logits {
			want[i] = math.Exp(float64(l) / temperature)
			sum += want[i]
		}
		for i := range want {
			want[i] /= sum
		}
		require.InDeltaSlice(t, want, corruptions.Of(logits, len(logits)).At(temperature, frequencies), 1e-3)
	}
	d := corruptions.Of(logits, 3)
	require.Equal(t, []int32{3, 1, 5}, d.IDs)
	p, rest := d.At(1, frequencies), 0.0
	for _, i := range []int{0, 2, 4, 6} {
		rest += p[i]
	}
	require.InDelta(t, float64(d.Tail), rest, 1e-4)
	require.InDelta(t, math.Exp(-1)/math.Exp(-3), p[0]/p[2], 1e-4, "as their frequencies")
	require.Zero(t, p[7])

	for i, u := range []float64{0, 0.24, 0.26, 0.99} {
		require.EqualValues(t, []int{1, 1, 2, 2}[i], corruptions.Draw([]float64{0, 0.25, 0.75, 0}, u))
	}
	require.EqualValues(t, 2, corruptions.Draw([]float64{0, 0.25, 0.7, 0}, 0.999), "rounding draws nothing of probability 0")

	loss := corruptions.LossOf([][]float32{logits}, []corruptions.Distribution{corruptions.Of(logits, len(logits))}, frequencies)
	require.NoError(t, loss.Allows(1))
	require.NoError(t, loss.Allows(1.3))
	require.ErrorContains(t, loss.Allows(9), "from 0.5 to 4, not at 9")
	require.ErrorContains(t, corruptions.Loss{"1": 0.1, "1.25": 0.2}.Allows(1.1), "at temperature 1 the logits that were kept are 0.1 nats")
	require.Error(t, corruptions.Loss{}.Allows(1), "what was not measured is not allowed")
}

// Logits are read as they were written, but for 16 bits.
func TestLogitsAreKept(t *testing.T) {
	dir, m := filepath.Join(t.TempDir(), "c"), made(300)
	m.Steps, m.HeldOut, m.Top = 1, 0, 2
	w, err := corruptions.Create(dir, m)
	require.NoError(t, err)
	w.SetLoss(corruptions.Loss{"1": 2e-4})
	positions, weights := []int32{1, 2, 0, 4, 5, 6}, []float32{1, 1, 0, 1, 1, 1}
	var kept []corruptions.Distribution
	for i := range positions {
		d := corruptions.Distribution{IDs: []int32{int32(i), 299}, LogP: []float32{-0.5, -4}, Tail: 0.25}
		if weights[i] == 0 {
			d = corruptions.Distribution{}
		}
		kept = append(kept, d)
	}
	require.NoError(t, w.AddDistributions(positions, kept, weights))
	require.NoError(t, w.Finish())
	r, err := corruptions.Open(dir)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, corruptions.Loss{"1": 2e-4}, r.Loss)
	got, err := r.Distributions(0, positions, weights)
	require.NoError(t, err)
	for i, d := range kept {
		if weights[i] > 0 {
			require.Equal(t, d, got[i])
		}
	}
	_, err = r.Step(0, positions, weights)
	require.ErrorContains(t, err, "holds logits")
	_, err = r.Distributions(1, positions, weights)
	require.Error(t, err)
}
