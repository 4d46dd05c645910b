// SPDX-License-Identifier: Apache-2.0

package metrics

import "slices"

// Reference is a scorer without a model that stands beside the RTD AUC of a frozen set: it knows the counts of the training
// text and nothing else.
type Reference struct {
	Name    string // in result.json
	Label   string // for people
	Meaning string // what it scores by
}

// References lists the scorers, in the order in which people look at them.
func References() []Reference { return slices.Clone(references) }

var references = []Reference{
	{Name: "surprise", Label: "pairs alone", Meaning: "a count of pairs: how much more rarely than by chance each stands beside its neighbours; no model"},
	{Name: "rarity", Label: "rarity alone", Meaning: "how rare each is in the training text; no model"},
	{Name: "length", Label: "length alone", Meaning: "how many letters each has; no model"},
}
