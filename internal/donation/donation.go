// SPDX-License-Identifier: Apache-2.0

// Package donation carries from who builds a graph to who compiles it which variables the graph writes anew. GoMLX donates the
// buffers of their old values, but go-xla does not tell XLA that the new ones may be written there.
package donation

import (
	"fmt"
	"sync"
	"sync/atomic"
)

var (
	graphs atomic.Int64
	lists  sync.Map // of the graphs' variables, by name
)

// Name returns a name that no other graph of this process has. GoMLX puts #0, #1, … behind it, one for each set of shapes.
func Name() string { return fmt.Sprintf("donating_%d", graphs.Add(1)) }

// Set says which variables the graph of a name writes anew, by their paths, in the order of its first results.
func Set(name string, variables []string) { lists.Store(name, variables) }

// Take returns what was said of the graph of a name, once; nil for others.
func Take(name string) []string {
	variables, ok := lists.LoadAndDelete(name)
	if !ok {
		return nil
	}
	return variables.([]string)
}
