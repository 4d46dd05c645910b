// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"metrolab/layers"
	"metrolab/layers/moe"
)

var _ layers.FeedForward = moe.FeedForward{}

// FeedForwardEntry is a registered feed-forward map of an encoder's layers: what config fields main.feed_forward and
// generator.feed_forward can name, with its options as main.feed_forward_options.NAME and so on.
type FeedForwardEntry struct {
	Part
	// Build makes the map of a layer that is otherwise b. option gives the value of one of the entry's options. A [moe.FeedForward]
	// is told of padding, and its losses and what there is to watch of its routing are the pass's, as with [FeedForwardExperts].
	Build func(b layers.Block, option func(name string) any) layers.FeedForward
}

// FeedForwardDense is the neutral value of Encoder.FeedForward: [layers.DenseFeedForward].
const FeedForwardDense = "dense"

var feedForwards = newRegistry("feed-forward map",
	FeedForwardEntry{
		Part{Name: FeedForwardDense, Version: 1},
		func(b layers.Block, _ func(string) any) layers.FeedForward { return b.DenseFeedForward() },
	},
	expertsEntry,
)

// AddFeedForward makes a feed-forward map of one's own available. See [RegisterObjective] for name and version.
func AddFeedForward(entry FeedForwardEntry) { feedForwards.add(entry) }
