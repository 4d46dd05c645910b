// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"cmp"
	"slices"
)

// trie finds the tokens that a text begins with, byte by byte. Node 0 is the root.
type trie struct {
	nodes []trieNode
	next  []int32 // for each node, its children by the byte that leads to them, from its lowest to its highest; −1 for none
}

type trieNode struct {
	id    int32 // the token that ends here; −1 for none
	first int32 // where its children begin in next
	lo    uint8 // the lowest byte that leads to a child
	n     uint16
}

// child returns the node that c leads to from node, −1 if there is none.
func (t *trie) child(node int32, c byte) int32 {
	n := &t.nodes[node]
	if at := c - n.lo; uint16(at) < n.n {
		return t.next[n.first+int32(at)]
	}
	return -1
}

// newTrie returns the trie of tokens, none of which is empty or there twice.
func newTrie(tokens []string) trie {
	order := make([]int32, len(tokens))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(tokens[a], tokens[b]) })
	t := trie{nodes: []trieNode{{id: -1}}}
	// A range of order that shares its first depth bytes waits for the children of its node.
	type task struct {
		node, from, to int32
		depth          int
	}
	tasks := []task{{0, 0, int32(len(order)), 0}}
	for len(tasks) > 0 {
		w := tasks[len(tasks)-1]
		tasks = tasks[:len(tasks)-1]
		if w.from < w.to && len(tokens[order[w.from]]) == w.depth {
			t.nodes[w.node].id = order[w.from]
			w.from++
		}
		if w.from == w.to {
			continue
		}
		at := func(i int32) byte { return tokens[order[i]][w.depth] }
		n := &t.nodes[w.node]
		n.lo, n.first = at(w.from), int32(len(t.next))
		n.n = uint16(at(w.to-1)-n.lo) + 1
		for range n.n {
			t.next = append(t.next, -1)
		}
		first, lo := n.first, n.lo
		for i := w.from; i < w.to; {
			j := i + 1
			for j < w.to && at(j) == at(i) {
				j++
			}
			child := int32(len(t.nodes))
			t.nodes = append(t.nodes, trieNode{id: -1})
			t.next[first+int32(at(i)-lo)] = child
			tasks = append(tasks, task{child, i, j, w.depth + 1})
			i = j
		}
	}
	return t
}
