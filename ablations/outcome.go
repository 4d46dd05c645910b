// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/training"
)

// heldOutOf is the set of held-out text that an outcome is measured on, as [training.HeldOut.Sets] names it; empty for one of
// no such set.
func heldOutOf(outcome string) string {
	metric := strings.TrimPrefix(baseMetric(outcome), training.Averaged)
	switch {
	case metric == training.FrozenUnigram, metric == training.FrozenBigram, metric == training.FrozenTrigram, metric == training.FrozenWords:
		return metric
	case strings.HasPrefix(metric, training.Validation):
		return training.Validation
	}
	return ""
}

// cutting are the fields that decide how a text is cut into tokens and rows, and how many rows are measured: all held-out
// sets but that of the frozen words depend on them.
var cutting = []string{"data.alphabet", "data.longest_word", "data.lowercase", "data.seq_len", "data.tokenizer", "data.vocab_size", "evaluation.rows"}

// unlike says which settings, in use on both sides, make the held-out set of a metric another one for an arm than for the
// baseline, as far as the configs tell; empty if none does. What a path leads to is told by the fingerprints of the runs.
func unlike(set string, baseline, arm metro.Config) string {
	before := map[string]metro.FieldState{}
	for _, f := range baseline.Fields() {
		before[f.Path] = f
	}
	var differ []string
	for _, f := range arm.Fields() {
		is := slices.Contains(cutting, f.Path) && set != training.FrozenWords || decidesText(f) && !f.IsPath
		if b := before[f.Path]; is && f.InUse && b.InUse && f.Value != b.Value {
			differ = append(differ, fmt.Sprintf("%s is %v and the baseline's %v", f.Path, f.Value, b.Value))
		}
	}
	return strings.Join(differ, ", ")
}

// decidesText reports whether a field decides what the text is.
func decidesText(f metro.FieldState) bool {
	return strings.HasPrefix(f.Path, "data.") && !slices.Contains(cutting, f.Path)
}

// serves says which outcome serves two arms that another does not: words tells whether the frozen words do.
func serves(words bool) string {
	if words {
		return fmt.Sprintf("ablations.OutcomeOf(%q) asks all arms about the same words, whatever their tokenizers and rows", training.FrozenWords)
	}
	return "their texts differ, so no held-out set is the same for both; the test of a fine-tuning, such as test_balanced_accuracy, is"
}

// checkOutcome returns the user's error for an arm that would be measured on another held-out set than the baseline.
func (s Study) checkOutcome(arm Arm) error {
	set := heldOutOf(s.Outcome.Metric)
	if set == "" {
		return nil
	}
	why := unlike(set, s.Baseline, arm.Config)
	if why == "" {
		return nil
	}
	return usererr.New("arm %q: %s, so %s would be measured on another set than the baseline's; %s", arm.Name, why, s.Outcome.Metric, serves(unlike(training.FrozenWords, s.Baseline, arm.Config) == ""))
}

// apart says why an arm and the baseline are not measured on the same set, by the fingerprints of their runs or, where these
// have none, by their configs; empty if they are.
func (r Results) apart(arm Arm) string {
	set, baseline := heldOutOf(r.Study.Outcome.Metric), r.Arms[0].Config
	if set == "" {
		return ""
	}
	why, words := unlike(set, baseline, arm.Config), unlike(training.FrozenWords, baseline, arm.Config) == ""
	if same, known := r.sameSet(arm.Name, set); known {
		if same {
			return ""
		}
		if why == "" {
			why = otherPaths(baseline, arm.Config)
		}
	}
	if why == "" {
		return ""
	}
	if same, known := r.sameSet(arm.Name, training.FrozenWords); known {
		words = same
	}
	return fmt.Sprintf("%s, so %s is not of the same set as the baseline's; %s", why, r.Study.Outcome.Metric, serves(words))
}

// sameSet compares the fingerprints of a held-out set of an arm's runs and the baseline's, if they are known.
func (r Results) sameSet(arm, set string) (same, known bool) {
	prints := map[string]map[string]bool{arm: {}, BaselineName: {}}
	for _, run := range r.Runs {
		if print := run.Result.HeldOut()[set].Fingerprint; prints[run.Arm] != nil && print != "" {
			prints[run.Arm][print] = true
		}
	}
	own, base := prints[arm], prints[BaselineName]
	return maps.Equal(own, base), len(own) > 0 && len(base) > 0
}

// otherPaths names the paths by which two configs may have come to other texts, or to other tokenizers.
func otherPaths(baseline, arm metro.Config) string {
	before := map[string]any{}
	for _, f := range baseline.Fields() {
		before[f.Path] = f.Value
	}
	var differ []string
	for _, f := range arm.Fields() {
		if f.IsPath && f.Value != before[f.Path] {
			differ = append(differ, fmt.Sprintf("%s is %q and the baseline's %q", f.Path, f.Value, before[f.Path]))
		}
	}
	if len(differ) == 0 {
		return "the text that they were measured on differs"
	}
	return strings.Join(differ, ", ")
}

// Reference is what a scorer without a model reaches on the set of a study's outcome; see [metrics.References].
type Reference struct {
	metrics.Reference
	Value float64
}

// References are those of the set that the baseline was measured on; none for an outcome of no such set, nor for what it took to
// reach a target on it.
func (r Results) References() []Reference {
	if how, _ := readingOf(r.Study.Outcome.Metric); how.resource != "" || how.saved != "" {
		return nil
	}
	return r.referencesOf(r.Study.Outcome.Metric)
}

func (r Results) referencesOf(metric string) (list []Reference) {
	for _, run := range r.Runs {
		if trivial := run.Result.HeldOut()[heldOutOf(metric)].Trivial; run.Arm == BaselineName && trivial != nil {
			for _, reference := range metrics.References() {
				if value, known := trivial[reference.Name]; known {
					list = append(list, Reference{reference, value})
				}
			}
			return list
		}
	}
	return nil
}

// referenceNote says for the report what the references are; none where there are none.
func (r Results) referenceNote() []string {
	var parts []string
	for _, reference := range r.References() {
		parts = append(parts, fmt.Sprintf("%s %.3f (%s)", reference.Label, reference.Value, reference.Meaning))
	}
	if parts == nil {
		return nil
	}
	return []string{"On the set of the outcome, scorers that know the counts of the training text and no more reach: " + strings.Join(parts, "; ") + "."}
}
