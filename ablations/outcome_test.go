// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// Arms that would be measured on another set than the baseline are refused before anything is trained, with the setting and
// the outcome that serves them; the frozen words serve all that cut the same text otherwise.
func TestOutcomesThatAnArmDoesNotShare(t *testing.T) {
	sayWords := `ablations.OutcomeOf("frozen_auc_words")`
	for assignment, says := range map[string][]string{
		"data.vocab_size=310":      {"data.vocab_size is 310 and the baseline's 300", sayWords},
		"data.seq_len=12":          {"data.seq_len is 12 and the baseline's 16", sayWords},
		"data.lowercase=false":     {"data.lowercase is false and the baseline's true", sayWords},
		"data.alphabet=50":         {"data.alphabet is 50 and the baseline's 0", sayWords},
		"data.longest_word=20":     {"data.longest_word is 20 and the baseline's 0", sayWords},
		"evaluation.rows=16":       {"evaluation.rows is 16 and the baseline's 32", sayWords},
		"data.near_duplicates=0.5": {"data.near_duplicates is 0.5 and the baseline's 0", "test_balanced_accuracy"},
	} {
		s := small()
		s.Changes = []Change{{Name: "other", Set: []string{assignment}}}
		for _, metric := range []string{training.FrozenUnigram, training.FrozenBigram, "val_loss"} {
			s.Outcome = OutcomeOf(metric)
			_, err := s.Arms()
			require.True(t, usererr.Is(err), "%s, %s: %v", assignment, metric, err)
			for _, words := range append(says, metric+" would be measured on another set", `arm "other"`) {
				require.ErrorContains(t, err, words)
			}
		}
		s.Outcome = OutcomeOf(training.FrozenWords)
		_, err := s.Arms()
		if says[1] == sayWords {
			require.NoError(t, err, assignment)
		} else {
			require.ErrorContains(t, err, says[0])
		}
		s.Outcome = Outcome{Metric: "test_balanced_accuracy", Better: HigherIsBetter}
		_, err = s.Arms()
		require.NoError(t, err, assignment)
	}
	for _, shared := range []string{"training.batch_size=4", "masking.rate=0.3", "training.accumulate=2", "data.corpus=elsewhere", "data.mixture=elsewhere=0.5", "training.init_from=elsewhere"} {
		s := small()
		s.Changes = []Change{{Name: "other", Set: []string{shared}}}
		_, err := s.Arms()
		require.NoError(t, err, shared)
	}
	// A setting of the text that is not here would have to be told apart too.
	var settings []string
	for _, f := range small().Baseline.Fields() {
		if strings.HasPrefix(f.Path, "data.") {
			settings = append(settings, f.Path)
		}
	}
	require.ElementsMatch(t, []string{"data.alphabet", "data.corpus", "data.field", "data.files", "data.longest_word", "data.lowercase", "data.mixture", "data.near_duplicates", "data.seq_len", "data.tokenizer", "data.vocab_size"}, settings)
}

// Arms of other tokenizers and rows are compared on the frozen words. An arm on another text is compared on none of the held-out
// sets, and the table says why.
func TestNoVerdictAcrossSets(t *testing.T) {
	var other strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&other, "Another writer of file %d closes what %d readers have opened.\n\n", i, i%9)
	}
	path := filepath.Join(t.TempDir(), "other.txt")
	require.NoError(t, os.WriteFile(path, []byte(other.String()), 0o600))
	t.Setenv("METROLAB_CACHE", t.TempDir())
	runner := lab(t)
	s := small()
	s.Outcome, s.Seeds = OutcomeOf(training.FrozenWords), []int64{3, 4}
	s.Changes = []Change{
		{Name: "longer rows", Set: []string{"data.seq_len=24"}},
		{Name: "fewer tokens", Set: []string{"data.vocab_size=60"}},
		{Name: "another text", Set: []string{"data.corpus=" + path}},
	}
	results, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	cs := results.Compare()
	require.Equal(t, []int{2, 2}, []int{cs[0].Pairs, cs[1].Pairs})
	for _, c := range cs[:2] {
		require.NotContains(t, c.Note, "not of the same set")
	}
	require.Equal(t, None, cs[2].Verdict)
	require.Contains(t, cs[2].Note, "data.corpus is \""+path+`" and the baseline's ""`)
	require.Contains(t, cs[2].Note, "so frozen_auc_words is not of the same set as the baseline's")
	require.Contains(t, cs[2].Note, "the test of a fine-tuning")

	require.Equal(t, "pairs alone", results.References()[0].Label)
	require.Greater(t, results.References()[0].Value, 0.5)
	text, err := results.Table().Text(120)
	require.NoError(t, err)
	require.Contains(t, text, "pairs alone")

	// Runs from before fingerprints were written down are told apart by their configs.
	for i := range results.Runs {
		results.Runs[i].Result.Details = nil
	}
	results.Study.Outcome = OutcomeOf(training.FrozenUnigram)
	cs = results.Compare()
	require.Equal(t, []Verdict{None, None}, []Verdict{cs[0].Verdict, cs[1].Verdict})
	require.Contains(t, cs[0].Note, "data.seq_len is 24 and the baseline's 16")
	require.Contains(t, cs[0].Note, `ablations.OutcomeOf("frozen_auc_words")`)
}
