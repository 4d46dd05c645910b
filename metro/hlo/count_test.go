// SPDX-License-Identifier: Apache-2.0

package hlo

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var chip = Chip{Bandwidth: 1e12, Peak: map[Precision]float64{InBFloat16: 4e12, InTF32: 2e12, InFloat32: 1e12}}

// moduleOf makes a module of computations, the first of which is the entry; ids are their places.
func moduleOf(computations ...[]*Instruction) *Module {
	m := &Module{Computations: map[int64]*Computation{}}
	for id, list := range computations {
		c := &Computation{ID: int64(id), Instructions: list, byID: map[int64]*Instruction{}}
		for _, i := range list {
			c.byID[i.ID] = i
		}
		m.Computations[c.ID] = c
	}
	m.Entry = m.Computations[0]
	return m
}

func array(t Type, dims ...int64) Shape { return Shape{Type: t, Dimensions: dims} }

func parameter(id int64, s Shape) *Instruction {
	return &Instruction{ID: id, Opcode: "parameter", Shape: s}
}

// A library's product says in its configuration what it sums over; its workspace, a part of its result, moves no bytes.
func TestLibraryProduct(t *testing.T) {
	gemm := &Instruction{
		ID: 3, Opcode: "custom-call", Target: "__cublas$gemm", Operands: []int64{1, 2},
		Shape:         Shape{Tuple: []Shape{array(Float32, 8, 16), array(2, 1024)}},
		BackendConfig: []byte(`{"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}`),
	}
	counts, err := moduleOf([]*Instruction{parameter(1, array(BFloat16, 8, 4)), parameter(2, array(BFloat16, 4, 16)), gemm}).Count(chip)
	require.NoError(t, err)
	require.Equal(t, map[Precision]Product{InBFloat16: {1, 2 * 8 * 16 * 4}}, counts.Products)
	require.Equal(t, float64(8*4*2+4*16*2+8*16*4), counts.Bytes)

	gemm.BackendConfig = []byte(`{"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]},"precision_config":{"operand_precision":["HIGHEST","HIGHEST"]}}}`)
	counts, err = moduleOf([]*Instruction{parameter(1, array(Float32, 8, 4)), parameter(2, array(Float32, 4, 16)), gemm}).Count(chip)
	require.NoError(t, err)
	require.Equal(t, map[Precision]Product{InFloat32: {1, 2 * 8 * 16 * 4}}, counts.Products)

	gemm.BackendConfig = []byte(`{`)
	_, err = moduleOf([]*Instruction{parameter(1, array(BFloat16, 8, 4)), parameter(2, array(BFloat16, 4, 16)), gemm}).Count(chip)
	require.ErrorContains(t, err, "the configuration of a matrix product")
}

// A loop is as many turns as XLA knows it to have; else one, which is said.
func TestLoops(t *testing.T) {
	state := array(Float32, 256)
	loop := &Instruction{ID: 2, Opcode: "while", Operands: []int64{1}, Shape: state, Called: []int64{1}, BackendConfig: []byte(`{"known_trip_count":{"n":"5"}}`)}
	body := []*Instruction{parameter(1, state), {ID: 2, Opcode: "add", Operands: []int64{1, 1}, Shape: state}}
	m := moduleOf([]*Instruction{parameter(1, state), loop}, body)
	counts, err := m.Count(chip)
	require.NoError(t, err)
	require.Equal(t, Counts{Kernels: 5, Bytes: 5 * 2048, Products: map[Precision]Product{}, Seconds: 5 * 2048 / 1e12}, counts)

	loop.BackendConfig = nil
	counts, err = m.Count(chip)
	require.NoError(t, err)
	require.Equal(t, 1, counts.Kernels)
	require.Equal(t, 1, counts.Loops)
}

// What is done while something else goes on is counted where it starts.
func TestAsynchronous(t *testing.T) {
	s := array(Float32, 64)
	counts, err := moduleOf([]*Instruction{
		parameter(1, s), {ID: 2, Opcode: "copy-start", Operands: []int64{1}, Shape: s}, {ID: 3, Opcode: "copy-done", Operands: []int64{2}, Shape: s},
	}).Count(chip)
	require.NoError(t, err)
	require.Equal(t, 1, counts.Kernels)
}

// Sums over graphs and turns keep what is summed.
func TestPlusAndTimes(t *testing.T) {
	a := Counts{Kernels: 1, Bytes: 10, Products: map[Precision]Product{InTF32: {1, 100}}, Seconds: 1}
	b := Counts{Kernels: 2, Atomic: 1, Sorts: 1, Products: map[Precision]Product{InTF32: {1, 1}, InBFloat16: {3, 7}}}
	sum := a.Plus(b.Times(2))
	require.Equal(t, Counts{Kernels: 5, Bytes: 10, Products: map[Precision]Product{InTF32: {3, 102}, InBFloat16: {6, 14}}, Atomic: 2, Sorts: 2, Seconds: 1}, sum)
	require.Equal(t, 116.0, sum.FLOPs())
	require.Equal(t, []Precision{InBFloat16, InTF32}, sum.Precisions())
	require.Equal(t, map[Precision]Product{InTF32: {1, 100}}, a.Products, "a stays as it was")
}

func TestWhatCannotBeCounted(t *testing.T) {
	s := array(Float64, 4, 4)
	dot := &Instruction{ID: 3, Opcode: "dot", Name: "d", Operands: []int64{1, 2}, Shape: s, Contracting: []int64{1}}
	_, err := moduleOf([]*Instruction{parameter(1, s), parameter(2, s), dot}).Count(chip)
	require.ErrorContains(t, err, "no peak is known for products in float64")
	dot.Contracting = []int64{2}
	_, err = moduleOf([]*Instruction{parameter(1, s), parameter(2, s), dot}).Count(chip)
	require.ErrorContains(t, err, "dot d: a product over dimension 2 of 2")
	_, err = moduleOf([]*Instruction{dot}).Count(chip)
	require.ErrorContains(t, err, "there is no operand 1")
	_, err = moduleOf([]*Instruction{{ID: 1, Opcode: "fusion", Called: []int64{7}}}).Count(chip)
	require.ErrorContains(t, err, "there is no computation 7")
}

// A program that is cut off anywhere is an error or a shorter program, and never a panic.
func TestReadsWhatIsCutOff(t *testing.T) {
	program, err := os.ReadFile("testdata/scatter.hlo")
	require.NoError(t, err)
	for n := range program {
		if m, err := Read(program[:n]); err == nil {
			_, _ = m.Count(chip)
		}
	}
	_, err = Read(nil)
	require.ErrorContains(t, err, "no entry computation")
}
