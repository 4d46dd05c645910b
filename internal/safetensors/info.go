// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// MaxHeader is the longest JSON header, in bytes, that the format allows.
const MaxHeader = 100_000_000

// maxRank bounds the axes of a tensor, so that a header cannot spend its 100 MB on one shape.
const maxRank = 64

// maxMembers bounds the tensors of a file, and its metadata, far above the thousands that a large model has:
// 100 MB of JSON could describe millions of empty tensors and cost a gigabyte of names.
const maxMembers = 1 << 18

// byteWidth holds the size in bytes of one element of each type of the format that fills whole bytes.
var byteWidth = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8,
}

// Info describes one tensor.
type Info struct {
	Name  string
	DType string // "F32", "BF16", "I64", …: the format's own names
	Shape []int  // empty for a scalar

	offset int64 // of the first byte, from the start of the file; set by the reader
}

// Size returns the number of bytes that the tensor takes in a file. It is an error if the type is unknown, if an axis
// is negative, or if the number does not fit.
func (i Info) Size() (int64, error) {
	width, ok := byteWidth[i.DType]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(byteWidth)), ", ")
		return 0, fmt.Errorf("tensor %.80q has type %.20q; known are %s", i.Name, i.DType, known)
	}
	if len(i.Shape) > maxRank {
		return 0, fmt.Errorf("tensor %.80q has %d axes; at most %d are read", i.Name, len(i.Shape), maxRank)
	}
	size := uint64(width)
	for axis, n := range i.Shape {
		if n < 0 {
			return 0, fmt.Errorf("tensor %.80q has length %d on axis %d", i.Name, n, axis)
		}
		high, low := bits.Mul64(size, uint64(n))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("tensor %.80q of type %s and shape %v is too large for any file", i.Name, i.DType, i.Shape)
		}
		size = low
	}
	return int64(size), nil
}
