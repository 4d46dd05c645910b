// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
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

// IsFloat reports whether tensors of the type can be read as float32.
func IsFloat(dtype string) bool {
	_, ok := decoders[dtype]
	return ok
}

// Floats reads the elements of one tensor, in order, as float32.
type Floats struct {
	Len int // number of elements

	source io.Reader
	width  int
	decode func([]byte) float32
	bytes  []byte
}

// chunk is how many elements are read at a time.
const chunk = 1 << 15

// Floats gives the elements of the named tensor in passing. A tensor of a type that [IsFloat] does not know is an error.
func (f *File) Floats(name string) (*Floats, error) {
	source, err := f.Reader(name)
	if err != nil {
		return nil, err
	}
	info, _ := f.Lookup(name)
	d, ok := decoders[info.DType]
	if !ok {
		return nil, fmt.Errorf("weights %s: tensor %.80q is of type %s; F64, F32, F16 and BF16 are read", f.path, name, info.DType)
	}
	n := int(source.Size()) / d.width
	return &Floats{Len: n, source: source, width: d.width, decode: d.decode, bytes: make([]byte, min(n, chunk)*d.width)}, nil
}

// ReadFloats fills dst with the named tensor. The length of dst must be the tensor's number of elements.
func (f *File) ReadFloats(name string, dst []float32) error {
	floats, err := f.Floats(name)
	if err != nil {
		return err
	}
	if len(dst) != floats.Len {
		return fmt.Errorf("weights %s: tensor %q has %d elements, the buffer %d", f.path, name, floats.Len, len(dst))
	}
	if err := floats.Read(dst); err != nil {
		return fmt.Errorf("weights %s: tensor %q: %w", f.path, name, err)
	}
	return nil
}

// Read fills dst with the next elements.
func (f *Floats) Read(dst []float32) error {
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

// ReadTransposed fills dst, [columns, rows], from a tensor that lies as [rows, columns].
func (f *Floats) ReadTransposed(dst []float32, rows, columns int) error {
	atOnce := max(1, chunk/columns)
	buffer := make([]float32, min(rows, atOnce)*columns)
	for first := 0; first < rows; first += atOnce {
		n := min(atOnce, rows-first)
		if err := f.Read(buffer[:n*columns]); err != nil {
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
