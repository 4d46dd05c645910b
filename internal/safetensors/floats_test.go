// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every binary16 against the definition of the format, and the values that IEEE 754 is usually checked by.
func TestDecodeHalf(t *testing.T) {
	fromHalf := func(bits uint16) float32 {
		return decoders["F16"].decode(binary.LittleEndian.AppendUint16(nil, bits))
	}
	for bits := range 1 << 16 {
		got := float64(fromHalf(uint16(bits)))
		sign, exponent, fraction := 1-2*float64(bits>>15), bits>>10&31, float64(bits&1023)
		switch {
		case exponent == 31 && fraction != 0:
			require.True(t, math.IsNaN(got))
		case exponent == 31:
			require.Equal(t, math.Inf(int(sign)), got)
		case exponent == 0:
			require.Equal(t, sign*math.Pow(2, -14)*fraction/1024, got)
		default:
			require.Equal(t, sign*math.Pow(2, float64(exponent-15))*(1+fraction/1024), got)
		}
	}
	for bits, want := range map[uint16]float32{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 5.9604645e-8, 0x3555: 0.33325195} {
		require.Equal(t, want, fromHalf(bits))
	}
	require.True(t, math.Signbit(float64(fromHalf(0x8000))))
}

// A bfloat16 is the upper half of a float32, whatever it holds.
func TestDecodeBFloat16(t *testing.T) {
	for bits := range 1 << 16 {
		got := decoders["BF16"].decode(binary.LittleEndian.AppendUint16(nil, uint16(bits)))
		require.Equal(t, uint32(bits)<<16, math.Float32bits(got))
	}
}

func TestDecoders(t *testing.T) {
	for dtype, bytes := range map[string][]byte{
		"F64": binary.LittleEndian.AppendUint64(nil, math.Float64bits(-1.5)), "F32": binary.LittleEndian.AppendUint32(nil, math.Float32bits(-1.5)),
		"F16": {0x00, 0xbe}, "BF16": {0xc0, 0xbf},
	} {
		require.Equal(t, float32(-1.5), decoders[dtype].decode(bytes), dtype)
		require.Len(t, bytes, decoders[dtype].width)
	}
}

// Transposing in pieces, with a last one that is not full, and rows longer than a piece.
func TestTranspose(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {3, 5}, {1000, 77}, {3, chunk + 1}, {chunk + 1, 3}} {
		rows, columns := shape[0], shape[1]
		var raw bytes.Buffer
		for i := range rows * columns {
			raw.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(i))))
		}
		f := &Floats{source: &raw, width: 4, decode: decoders["F32"].decode, bytes: make([]byte, 4*chunk)}
		got := make([]float32, rows*columns)
		require.NoError(t, f.ReadTransposed(got, rows, columns))
		for c := range columns {
			for r := range rows {
				if want := float32(r*columns + c); got[c*rows+r] != want {
					t.Fatalf("%v: [%d, %d] is %g, not %g", shape, c, r, got[c*rows+r], want)
				}
			}
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	const rows, columns = 1024, 4096
	raw, dst := make([]byte, 4*rows*columns), make([]float32, rows*columns)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		f := &Floats{source: bytes.NewReader(raw), width: 4, decode: decoders["F32"].decode, bytes: make([]byte, 4*chunk)}
		if err := f.ReadTransposed(dst, rows, columns); err != nil {
			b.Fatal(err)
		}
	}
}
