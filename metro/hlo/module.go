// SPDX-License-Identifier: Apache-2.0

package hlo

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Module is a program: computations, of which one is the entry.
type Module struct {
	Name         string
	Entry        *Computation
	Computations map[int64]*Computation // by their ids
}

// Computation is a sequence of instructions.
type Computation struct {
	ID           int64
	Name         string
	Instructions []*Instruction // operands before their users
	byID         map[int64]*Instruction
}

// Instruction is an operation and its result.
type Instruction struct {
	ID       int64
	Name     string
	Opcode   string
	Shape    Shape
	Operands []int64 // ids of instructions of the same computation
	Called   []int64 // ids of computations

	Contracting   []int64 // of a dot: the dimensions of its left operand that are summed over
	Precision     []int64 // of a dot: PrecisionConfig.Precision of each operand
	Algorithm     int64   // of a dot: PrecisionConfig.Algorithm
	UniqueIndices bool    // of a scatter: no two updates meet
	Target        string  // of a custom call
	BackendConfig []byte  // JSON
}

// Shape is an array, or a tuple of shapes.
type Shape struct {
	Type       Type
	Dimensions []int64
	Tuple      []Shape
}

// Type is the type of an array's elements, by PrimitiveType of xla/xla_data.proto.
type Type int64

// The types of floating-point numbers.
const (
	Float16  Type = 10
	Float32  Type = 11
	Float64  Type = 12
	BFloat16 Type = 16
)

// bits are the sizes of the types of elements. Tuples, tokens and what is not listed take no memory of their own.
var bits = map[Type]int64{
	1: 8, 2: 8, 3: 16, 4: 32, 5: 64, 6: 8, 7: 16, 8: 32, 9: 64, // pred, s8 … s64, u8 … u64
	Float16: 16, Float32: 32, Float64: 64, BFloat16: 16,
	15: 64, 18: 128, // complex
	19: 8, 20: 8, 23: 8, 24: 8, 25: 8, 28: 8, 29: 8, 33: 8, // the kinds of float8
	21: 4, 22: 4, 32: 4, 26: 2, 27: 2, 30: 1, 31: 1, // s4, u4, float4, s2, u2, s1, u1
}

// Elements is the number of elements of an array.
func (s Shape) Elements() int64 {
	n := int64(1)
	for _, d := range s.Dimensions {
		n *= d
	}
	return n
}

// Bytes is what the shape takes in memory.
func (s Shape) Bytes() int64 {
	if len(s.Tuple) == 0 {
		return (s.Elements()*bits[s.Type] + 7) / 8
	}
	var sum int64
	for _, part := range s.Tuple {
		sum += part.Bytes()
	}
	return sum
}

// array is the shape, or the first part of a tuple.
func (s Shape) array() Shape {
	for len(s.Tuple) > 0 {
		s = s.Tuple[0]
	}
	return s
}

// Read reads a serialized HloModuleProtoWithConfig (xla/service/hlo.proto of github.com/openxla/xla), which is what a PJRT plugin
// calls hlo_with_config.
func Read(program []byte) (*Module, error) {
	m := &Module{Computations: map[int64]*Computation{}}
	var entry int64
	err := fields(program, func(f field) error {
		if f.number != 1 {
			return nil
		}
		return fields(f.bytes, func(f field) error {
			switch f.number {
			case 1:
				m.Name = string(f.bytes)
			case 3:
				c, err := readComputation(f.bytes)
				m.Computations[c.ID] = c
				return err
			case 6:
				entry = f.varint
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading an HLO module: %w", err)
	}
	if m.Entry = m.Computations[entry]; m.Entry == nil {
		return nil, fmt.Errorf("reading an HLO module: it has no entry computation")
	}
	return m, nil
}

func readComputation(message []byte) (*Computation, error) {
	c := &Computation{byID: map[int64]*Instruction{}}
	err := fields(message, func(f field) error {
		switch f.number {
		case 1:
			c.Name = string(f.bytes)
		case 2:
			i, err := readInstruction(f.bytes)
			c.Instructions = append(c.Instructions, i)
			c.byID[i.ID] = i
			return err
		case 5:
			c.ID = f.varint
		}
		return nil
	})
	return c, err
}

func readInstruction(message []byte) (*Instruction, error) {
	i := &Instruction{}
	return i, fields(message, func(f field) (err error) {
		switch f.number {
		case 1:
			i.Name = string(f.bytes)
		case 2:
			i.Opcode = string(f.bytes)
		case 3:
			i.Shape, err = readShape(f.bytes)
		case 28:
			i.Target = string(f.bytes)
		case 30: // DotDimensionNumbers
			err = fields(f.bytes, func(f field) error {
				if f.number == 1 {
					return f.integers(&i.Contracting)
				}
				return nil
			})
		case 35:
			i.ID = f.varint
		case 36:
			err = f.integers(&i.Operands)
		case 38:
			err = f.integers(&i.Called)
		case 43:
			i.BackendConfig = f.bytes
		case 51: // PrecisionConfig
			err = fields(f.bytes, func(f field) error {
				if f.number == 1 {
					return f.integers(&i.Precision)
				}
				i.Algorithm = f.varint
				return nil
			})
		case 69:
			i.UniqueIndices = f.varint != 0
		}
		return err
	})
}

func readShape(message []byte) (s Shape, err error) {
	return s, fields(message, func(f field) error {
		switch f.number {
		case 2:
			s.Type = Type(f.varint)
		case 3:
			return f.integers(&s.Dimensions)
		case 4:
			part, err := readShape(f.bytes)
			s.Tuple = append(s.Tuple, part)
			return err
		}
		return nil
	})
}

// field is a field of a message of protocol buffers, of which one of the values is set.
type field struct {
	number protowire.Number
	varint int64
	bytes  []byte // of a string, a message, or integers in a row
}

// fields calls do with the fields of a message, in order. Those of other kinds are left out: none of what is read has one.
func fields(message []byte, do func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(message)
			f.varint = int64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.VarintType && kind != protowire.BytesType {
			continue
		}
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// integers appends a repeated field of integers, of which either each comes alone or all in a row.
func (f field) integers(list *[]int64) error {
	if f.bytes == nil {
		*list = append(*list, f.varint)
		return nil
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return protowire.ParseError(n)
		}
		*list, rest = append(*list, int64(v)), rest[n:]
	}
	return nil
}
