// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"

	"metrolab/internal/safetensors"
)

// decoders turn one little-endian element of a floating-point type into a float32. F16 and BF16 lose nothing.
var decoders = map[string]struct {
	width  int
	decode func([]byte) float32
}{
	"F64":  {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	"F32":  {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"F16":  {2, func(b []byte) float32 { return float16.FromBits(binary.LittleEndian.Uint16(b)).Float32() }},
	"BF16": {2, func(b []byte) float32 { return bfloat16.FromBits(binary.LittleEndian.Uint16(b)).Float32() }},
}

// floats reads the elements of one tensor, in order, as float32.
type floats struct {
	source io.Reader
	width  int
	decode func([]byte) float32
	bytes  []byte
}

// chunk is how many elements are read at a time.
const chunk = 1 << 15

func newFloats(file *safetensors.File, name string) (*floats, error) {
	info, ok := file.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("there is no tensor %.80s", name)
	}
	d, ok := decoders[info.DType]
	if !ok {
		return nil, fmt.Errorf("tensor %.80s is of type %s; F64, F32, F16 and BF16 are read", name, info.DType)
	}
	source, err := file.Reader(name)
	if err != nil {
		return nil, err
	}
	return &floats{source: source, width: d.width, decode: d.decode, bytes: make([]byte, chunk*d.width)}, nil
}

// read fills dst.
func (f *floats) read(dst []float32) error {
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		bytes := f.bytes[:n*f.width]
		if _, err := io.ReadFull(f.source, bytes); err != nil {
			return err
		}
		for i := range n {
			dst[i] = f.decode(bytes[i*f.width:])
		}
		dst = dst[n:]
	}
	return nil
}

// transpose fills dst, [columns, rows], from a tensor that lies as [rows, columns].
func (f *floats) transpose(dst []float32, rows, columns int) error {
	atOnce := max(1, chunk/columns)
	buffer := make([]float32, min(rows, atOnce)*columns)
	for first := 0; first < rows; first += atOnce {
		n := min(atOnce, rows-first)
		if err := f.read(buffer[:n*columns]); err != nil {
			return err
		}
		for c := range columns {
			for r := range n {
				dst[c*rows+first+r] = buffer[r*columns+c]
			}
		}
	}
	return nil
}
