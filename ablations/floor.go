// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Floor is what a study of equal arms finds, an A/A test: the spread of paired differences between runs of a recipe that
// differ in nothing but the order in which numbers are added. Training makes large differences of small ones, so that a
// difference to the baseline below it says nothing about a change.
type Floor struct {
	Recipe string  `json:"recipe"`
	Metric string  `json:"metric"`
	Steps  int     `json:"steps"` // of the recipe as it ships
	SD     float64 `json:"sd"`    // of the paired differences (n−1)
	Seeds  []int64 `json:"seeds"` // one pair each
	// Differences are the paired ones, in the order of Seeds; none where only their spread was kept.
	Differences []float64 `json:"differences,omitempty"`

	Change  []string `json:"change"` // the setting that changes the order alone
	Command string   `json:"command"`
	Commit  string   `json:"commit"`
	Machine string   `json:"machine"`
	Backend string   `json:"backend"`
	Date    string   `json:"date"`
}

// floorsFile is written by metro ablate noise --floors, from the A/A studies of package studies.
//
//go:embed floors.json
var floorsFile []byte

// Floors are those that were measured, one a recipe and outcome.
func Floors() []Floor {
	var list []Floor
	if err := json.Unmarshal(floorsFile, &list); err != nil {
		panic("ablations: floors.json: " + err.Error())
	}
	return list
}

// Floor is that of the study's recipe and outcome, and whether it was measured.
func (r Results) Floor() (Floor, bool) {
	all := Floors()
	i := slices.IndexFunc(all, func(f Floor) bool { return f.Recipe == r.Study.Recipe && f.Metric == r.Study.Outcome.Metric })
	if i < 0 {
		return Floor{}, false
	}
	return all[i], true
}

// Of is the size below which the mean of n paired differences lies in 95 of 100 studies of equal arms, by Student's t, SD
// being an estimate; 0 for no pairs.
func (f Floor) Of(n int) float64 {
	pairs := float64(len(f.Seeds))
	if n < 1 || pairs < 2 {
		return 0
	}
	t := distuv.StudentsT{Sigma: 1, Nu: pairs - 1}.Quantile(1 - Alpha/2)
	return t * f.SD / math.Sqrt(float64(n))
}

// FloorNote says what the study's floor is, for the number of pairs that are planned.
func (r Results) FloorNote() string {
	f, ok := r.Floor()
	if !ok {
		return fmt.Sprintf("A/A floor: not measured for the recipe %q and %s. What a change of rounding alone gives is measured by a study of the baseline against training.accumulate=2, by metro ablate noise.",
			r.Study.Recipe, r.Study.Outcome.Metric)
	}
	n := len(r.Study.Seeds)
	if _, n2 := r.baseline(); r.Study.UntilDecided {
		n = n2
	}
	from := fmt.Sprintf("%s against the recipe %s, %d seeds, %s, %s, %s", strings.Join(f.Change, " "), f.Recipe, len(f.Seeds), f.Backend, f.Machine, f.Date)
	if f.SD == 0 {
		return fmt.Sprintf("A/A floor: a change of rounding alone has moved no run (%s).", from)
	}
	note := fmt.Sprintf("A/A floor: differences below %.2g over %s are what a change of rounding alone gives (σ of the paired differences %.3g: %s).",
		f.Of(n), pairsInWords(n), f.SD, from)
	if steps := r.Study.Baseline.Training.Steps; steps != f.Steps {
		note += fmt.Sprintf(" It was measured after %d steps, and this study trains for %d.", f.Steps, steps)
	}
	return note
}
