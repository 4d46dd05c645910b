// SPDX-License-Identifier: Apache-2.0

package data

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/machine"
)

// Rows of 128 of a stream of 4 Mi tokens over a vocabulary of 30,522, and batches of 64 of them, masked at 15 %.
func benchmarkLoader(b *testing.B) *Loader {
	const seqLen, slots = 128, 20
	ids := make([]int32, 4<<20)
	for i := range ids {
		if ids[i] = int32(5 + i*7919%30_517); i%64 == 63 {
			ids[i] = testSEP
		}
	}
	return &Loader{
		Rows: openIDs(b, ids, seqLen), Seed: 1, Stream: "train/", Shuffle: true, BatchSize: 64, Slots: slots,
		Masking: Masking{Rate: 0.15}, MaskID: testMask, Maskable: func(id int32) bool { return id > testMask },
		Continues: continues, Vocab: 30_522,
	}
}

// perCore reports tokens a processor second, which others on the machine change least.
func perCore(b *testing.B, tokens int, step func(i int)) {
	before := machine.ProcessorTime()
	i := 0
	for b.Loop() {
		step(i)
		i++
	}
	b.ReportMetric(float64(i)*float64(tokens)/max(machine.ProcessorTime()-before, time.Microsecond).Seconds(), "tokens/core-s")
}

func BenchmarkRows(b *testing.B) {
	l := benchmarkLoader(b)
	row := make([]int32, l.Rows.SeqLen)
	perCore(b, l.Rows.SeqLen, func(i int) {
		require.NoError(b, l.Rows.Read(Shuffled(1, l.Rows.Len(), i), row))
	})
}

// BenchmarkBatch is from shards to what a step reads: rows in a random order, masked, with the noise of the samples.
func BenchmarkBatch(b *testing.B) {
	l := benchmarkLoader(b)
	perCore(b, l.Rows.SeqLen*l.BatchSize, func(i int) {
		_, err := l.Batch(i)
		require.NoError(b, err)
	})
}
