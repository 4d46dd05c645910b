// SPDX-License-Identifier: Apache-2.0

package backend

// Kind says which engine runs the graphs. Results are comparable bit for bit only within one kind.
type Kind string

// The kinds of backend, slowest first.
const (
	Go      Kind = "go"       // compiled into the program
	XLACPU  Kind = "xla-cpu"  // XLA on the processor
	XLACUDA Kind = "xla-cuda" // XLA on an NVIDIA GPU
)

// label is the name for people.
func (k Kind) label() string {
	switch k {
	case XLACPU:
		return "XLA CPU"
	case XLACUDA:
		return "XLA CUDA"
	}
	return "pure Go"
}
