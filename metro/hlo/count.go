// SPDX-License-Identifier: Apache-2.0

package hlo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Precision is how the factors of a matrix product are rounded.
type Precision string

// The precisions that a chip has a peak for.
const (
	InBFloat16 Precision = "bfloat16" // float16 too, which is as fast
	InTF32     Precision = "tf32"     // float32 rounded to 10 bits of mantissa
	InFloat32  Precision = "float32"
	InFloat64  Precision = "float64"
)

// Words says the precision to people.
func (p Precision) Words() string {
	if p == InTF32 {
		return "TF32, of float32"
	}
	return string(p)
}

// Chip is what a device does at best, a second: operations by the precision of the factors, and bytes.
type Chip struct {
	Peak      map[Precision]float64
	Bandwidth float64
}

// Counts are what a program will do.
type Counts struct {
	Kernels  int                   `json:"kernels"`
	Bytes    float64               `json:"bytes_moved"`
	Products map[Precision]Product `json:"products"`
	Atomic   int                   `json:"atomic_scatters"` // kernels with a scatter of floating-point numbers whose order is left to chance
	Sorts    int                   `json:"sorts"`           // kernels that sort
	Seconds  float64               `json:"roof_seconds"`    // the roof, see the package
	Loops    int                   `json:"unknown_loops"`   // whose number of turns is not known, counted as one turn
}

// Product counts matrix products of one precision.
type Product struct {
	Count int     `json:"count"`
	FLOPs float64 `json:"flop"`
}

// FLOPs is the sum over all precisions.
func (c Counts) FLOPs() (sum float64) {
	for _, p := range c.Products {
		sum += p.FLOPs
	}
	return sum
}

// Precisions lists those of the products, the cheapest first.
func (c Counts) Precisions() []Precision {
	order := []Precision{InBFloat16, InTF32, InFloat32, InFloat64}
	return slices.DeleteFunc(order, func(p Precision) bool { return c.Products[p].Count == 0 })
}

// Plus is what two programs do, one after the other.
func (c Counts) Plus(d Counts) Counts {
	sum := Counts{
		c.Kernels + d.Kernels, c.Bytes + d.Bytes, maps.Clone(c.Products), c.Atomic + d.Atomic, c.Sorts + d.Sorts,
		c.Seconds + d.Seconds, c.Loops + d.Loops,
	}
	if sum.Products == nil {
		sum.Products = map[Precision]Product{}
	}
	for precision, p := range d.Products {
		sum.Products[precision] = Product{sum.Products[precision].Count + p.Count, sum.Products[precision].FLOPs + p.FLOPs}
	}
	return sum
}

// Times is what a program does that runs n times.
func (c Counts) Times(n int) Counts {
	sum := Counts{
		c.Kernels * n, c.Bytes * float64(n), map[Precision]Product{}, c.Atomic * n, c.Sorts * n, c.Seconds * float64(n), c.Loops * n,
	}
	for precision, p := range c.Products {
		sum.Products[precision] = Product{p.Count * n, p.FLOPs * float64(n)}
	}
	return sum
}

// Count counts what m does on chip. A precision without a peak is an error, as is a program that is not as XLA writes them.
func (m *Module) Count(chip Chip) (Counts, error) { return m.count(m.Entry, chip) }

func (m *Module) count(c *Computation, chip Chip) (sum Counts, err error) {
	for _, i := range c.Instructions {
		var part Counts
		switch i.Opcode {
		case "parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all", "opt-barrier", "partition-id", "replica-id":
			continue // nothing to do
		case "async-done", "async-update", "copy-done":
			continue // counted where it starts
		case "while":
			part, err = m.loop(i, chip)
		case "call", "conditional": // of a conditional, all branches
			part, err = m.calls(i, chip)
		default:
			part, err = m.kernel(c, i, chip)
		}
		if err != nil {
			return sum, fmt.Errorf("%s %s: %w", i.Opcode, i.Name, err)
		}
		sum = sum.Plus(part)
	}
	return sum, nil
}

func (m *Module) calls(i *Instruction, chip Chip) (sum Counts, err error) {
	for _, id := range i.Called {
		c := m.Computations[id]
		if c == nil {
			return sum, fmt.Errorf("there is no computation %d", id)
		}
		part, err := m.count(c, chip)
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(part)
	}
	return sum, nil
}

// loop is a while, whose body runs as often as XLA has found out.
func (m *Module) loop(i *Instruction, chip Chip) (Counts, error) {
	turn, err := m.calls(i, chip)
	if err != nil {
		return turn, err
	}
	var config struct {
		Known struct{ N string } `json:"known_trip_count"`
	}
	if json.Unmarshal(i.BackendConfig, &config) == nil {
		if n, err := strconv.Atoi(config.Known.N); err == nil {
			return turn.Times(n), nil
		}
	}
	turn.Loops++
	return turn, nil
}

// kernel counts one kernel of c.
func (m *Module) kernel(c *Computation, i *Instruction, chip Chip) (Counts, error) {
	k := Counts{Kernels: 1, Bytes: float64(i.Shape.Bytes()), Products: map[Precision]Product{}}
	if i.libraryProduct() { // the rest is its workspace, of which it may use nothing
		k.Bytes = float64(i.Shape.array().Bytes())
	}
	read := map[int64]bool{}
	for _, id := range i.Operands {
		operand := c.byID[id]
		if operand == nil {
			return k, fmt.Errorf("there is no operand %d", id)
		}
		if !read[id] {
			read[id] = true
			k.Bytes += float64(operand.Shape.Bytes())
		}
	}
	if err := m.work(&k, c, i); err != nil {
		return k, err
	}
	busy := 0.0
	for precision, p := range k.Products {
		peak := chip.Peak[precision]
		if peak <= 0 {
			return k, fmt.Errorf("no peak is known for products in %s", precision)
		}
		busy += p.FLOPs / peak
	}
	k.Atomic, k.Sorts = min(k.Atomic, 1), min(k.Sorts, 1)
	k.Seconds = max(busy, k.Bytes/chip.Bandwidth)
	return k, nil
}

// work adds to k what an instruction of c, and those of the computations that it calls, do beside moving bytes.
func (m *Module) work(k *Counts, c *Computation, i *Instruction) error {
	switch {
	case i.Opcode == "dot":
		return k.product(c, i, i.Contracting)
	case i.libraryProduct():
		contracting, err := contractingOf(i.BackendConfig)
		if err != nil {
			return err
		}
		return k.product(c, i, contracting)
	case i.Opcode == "custom-call" && strings.HasPrefix(i.Target, "__cub$DeviceRadixSort"), i.Opcode == "sort":
		k.Sorts++
	case i.Opcode == "scatter":
		switch i.Shape.array().Type {
		case Float16, BFloat16, Float32, Float64:
			if !i.UniqueIndices {
				k.Atomic++
			}
		}
	}
	for _, id := range i.Called {
		called := m.Computations[id]
		if called == nil {
			return fmt.Errorf("there is no computation %d", id)
		}
		for _, inner := range called.Instructions {
			if err := m.work(k, called, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// libraryProduct reports whether an instruction is a matrix product of cuBLAS.
func (i *Instruction) libraryProduct() bool {
	return i.Opcode == "custom-call" && (strings.HasPrefix(i.Target, "__cublas$gemm") || strings.HasPrefix(i.Target, "__cublas$lt$matmul"))
}

// product adds a matrix product, 2 × the elements of its result × those that are summed over for each.
func (k *Counts) product(c *Computation, i *Instruction, contracting []int64) error {
	if len(i.Operands) < 2 || c.byID[i.Operands[0]] == nil {
		return fmt.Errorf("a product without operands")
	}
	left := c.byID[i.Operands[0]].Shape.array()
	n := 2 * float64(i.Shape.array().Elements())
	for _, d := range contracting {
		if d < 0 || d >= int64(len(left.Dimensions)) {
			return fmt.Errorf("a product over dimension %d of %d", d, len(left.Dimensions))
		}
		n *= float64(left.Dimensions[d])
	}
	precision, err := precisionOf(i, left.Type)
	if err != nil {
		return err
	}
	p := k.Products[precision]
	k.Products[precision] = Product{p.Count + 1, p.FLOPs + n}
	return nil
}

// precisionOf says how a product rounds factors of a type. Of float32, XLA takes TF32 unless it is asked for more, a library's
// product in its configuration.
func precisionOf(i *Instruction, factors Type) (Precision, error) {
	const highest = 2 // PrecisionConfig.Precision
	asked := slices.Contains(i.Precision, highest) || i.libraryProduct() && bytes.Contains(i.BackendConfig, []byte(`"HIGHEST"`))
	const toBFloat16, tf32, float32 = 6, 9, 11 // PrecisionConfig.Algorithm
	switch {
	case factors == BFloat16, factors == Float16, i.Algorithm == toBFloat16:
		return InBFloat16, nil
	case factors == Float64:
		return InFloat64, nil
	case factors == Float32 && (i.Algorithm == float32 || i.Algorithm != tf32 && asked):
		return InFloat32, nil
	case factors == Float32:
		return InTF32, nil
	}
	return "", fmt.Errorf("a product of type %d", factors)
}

// contractingOf reads the summed dimensions of the left operand from the configuration of a cuBLAS call.
func contractingOf(config []byte) ([]int64, error) {
	var c struct {
		Gemm struct {
			Dot struct {
				Left []string `json:"lhs_contracting_dimensions"`
			} `json:"dot_dimension_numbers"`
		} `json:"gemm_backend_config"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("the configuration of a matrix product: %w", err)
	}
	var list []int64
	for _, text := range c.Gemm.Dot.Left {
		d, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the configuration of a matrix product: %w", err)
		}
		list = append(list, d)
	}
	return list, nil
}
