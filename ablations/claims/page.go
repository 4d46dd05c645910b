// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"slices"
	"strings"

	"metrolab/viz/table"
)

// Picture is where the page's picture lies, seen from the page's folder.
const Picture = "images/claims.png"

// Asked says whether any claim has been run at its first variant.
func (l Ledger) Asked() bool {
	return slices.ContainsFunc(l, func(e Entry) bool { return e.variant() == Variant{Recipe: "tiny"} && len(e.BySeed) > 0 })
}

// Page is the ledger as a page of Markdown: the table, the picture, and where each claim is from.
func (l Ledger) Page(all []Claim) (string, error) {
	standings, err := l.Table(all).Markdown()
	if err != nil {
		return "", err
	}
	sources, err := sourceTable(all).Markdown()
	if err != nil {
		return "", err
	}
	decided, corrected := 0, 0
	for _, s := range l.Standings(all) {
		if s.Decided() {
			decided++
			if s.HolmP < 0.05 {
				corrected++
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Published claims, asked of a small model

Written by `+"`metro claims record`"+` from the ledger, ablations/claims/ledger.json; a test holds the two together. %d of %d claims
are decided. Each is a study of `+"`tiny`"+`, with its plan's hash committed before the first run; `+"`metro claims show C4`"+` shows one, and
`+"`metro claims run C4`"+` trains it.

A contrast is a weighted difference of arms, paired by seed, in the frozen AUC, or in what a claim's note says; differences within
±%.2g do not matter. A claim is decided by its own tests, at 5 %%. p, of the test that decided, is after Holm's correction over the whole ledger: %d of those
decided stand then too. "Elsewhere" is half and twice the learning rate, with half of the seeds, and `+"`mini`"+`, 600 steps of it by Muon,
with three seeds. Processor hours are of all runs of a study, those that other claims share among them.

`, decided, len(all), all[0].Margin, corrected)
	if l.Asked() {
		fmt.Fprintf(&b, "![Forest plot of the claims](%s)\n\n", Picture)
	}
	fmt.Fprintf(&b, "%s\n", standings)
	if others := l.Others(all); len(others.Rows) > 0 {
		elsewhere, err := others.Markdown()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "## Elsewhere\n\n%s\n", elsewhere)
	}
	fmt.Fprintf(&b, "## Where each claim is from\n\n%s", sources)
	b.WriteString(`
Sure by: paper = read in its text; code = read in the authors' code; issue = an author's answer; notes = reading notes and reviews
by others; abstract = no more was read; memory = not verified; derived = follows from the others.

One more needs no run at all, and is not counted above: C8 (drawing fakes once saves 30 to 40 % of the operations) is
[arithmetic](systems.md#fast-electra-a-generator-that-learns-no-more).

## What a model of this size cannot tell

The published sizes are points of GLUE after a fine-tuning of models a thousand times as large, which have read ten thousand times
as much; here the outcome is what two layers of width 64 know after a minute of a text of their own. What is confirmed holds that
early and that small; what is contradicted may hold later. Whatever needs a large vocabulary, long rows, a generator that has
become good, or weights that stop growing does not come up at all. And "equivalent" is a statement on the margin, not on nothing.
`)
	return b.String(), nil
}

func sourceTable(all []Claim) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "claim"}, {Name: "source"}, {Name: "sure by"}, {Name: "published"}, {Name: "contrast"}, {Name: "holds if"}, {Name: "note"}}}
	for _, c := range all {
		t.Rows = append(t.Rows, []any{c.ID, c.Source, c.Certainty, c.Published, c.Arms(), c.Holds(), c.Note})
	}
	return t
}
