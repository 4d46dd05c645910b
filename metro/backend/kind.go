// SPDX-License-Identifier: Apache-2.0

package backend

// Kind says which engine runs the graphs. Equal runs give equal bits only within one kind, and there only with one build of
// it (the plugin; vector instructions in pure Go) on processors with the same features and with the same XLA_FLAGS.
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
