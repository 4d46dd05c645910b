// SPDX-License-Identifier: Apache-2.0

package ablations_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// entropy75 is the loss of a discriminator that knows that 7.5 % of the tokens are replaced and nothing else.
const entropy75 = 0.2664

// logOf is a log of ten records of a run of tiny, in which a metric is what of says at the part of the run that is over.
func logOf(steps int, of map[string]func(part float64) float64) (rows []runs.Row) {
	for k := 1; k <= 10; k++ {
		row := runs.Row{Step: steps * k / 10, Values: runs.Values{"replaced_fraction": 0.075, "gradient_norm": 1, "rtd_auc": 0.8, "generator_accuracy": 0.3, "rtd_loss": 0.2}}
		for key, value := range of {
			row.Values[key] = value(float64(k) / 10)
		}
		rows = append(rows, row)
	}
	return rows
}

func always(x float64) func(float64) float64 { return func(float64) float64 { return x } }

// found is the state of each finding, and what is advised, for a run of tiny with that log.
func found(t *testing.T, set []string, of map[string]func(float64) float64, result training.Result) (ablations.Diagnosis, map[string]ablations.State, []string) {
	t.Helper()
	c := recipes.Tiny()
	require.NoError(t, c.SetAll(set...))
	d := ablations.Diagnose(c, logOf(c.Training.Steps, of), result, &data.Anchors{Unigram: 0.05, UnigramLoss: 4.2, Trigram: 0.35})
	states := map[string]ablations.State{}
	for _, f := range d.Findings {
		states[f.What] = f.State
	}
	var advised []string
	for _, a := range d.Advice {
		advised = append(advised, a.Set)
	}
	return d, states, advised
}

func TestDiagnosisOfARunThatLearns(t *testing.T) {
	d, states, advised := found(t, nil, nil, training.Result{})
	require.True(t, d.Learns())
	require.Empty(t, advised)
	for what, state := range states {
		require.Equal(t, ablations.Fine, state, what)
	}
	require.Contains(t, d.Findings[0].Against, "0.2664, entropy of 7.5 % replaced")
}

func TestDiagnosisOfARunThatDoesNot(t *testing.T) {
	d, states, advised := found(t, []string{"positions.relative=none"},
		map[string]func(float64) float64{"rtd_loss": always(entropy75), "rtd_auc": always(0.51), "generator_accuracy": always(0.051), "val_rtd_auc": always(0.5)}, training.Result{})
	require.False(t, d.Learns())
	for _, what := range []string{"RTD loss", "RTD AUC, own generator", "plateau", "generator accuracy"} {
		require.Equal(t, ablations.Bad, states[what], what)
	}
	require.Equal(t, []string{"positions.relative=signed_log", "training.batch_size=16 training.steps=4800"}, advised)

	_, states, _ = found(t, nil, map[string]func(float64) float64{"rtd_loss": func(part float64) float64 { return entropy75 * (1.05 - 0.1*math.Floor(part/0.75)) }}, training.Result{})
	require.Equal(t, ablations.Watch, states["plateau"], "left in the second half")

	_, states, advised = found(t, []string{"sharing=none"}, map[string]func(float64) float64{"replaced_fraction": always(0.03), "rtd_loss": always(0.05)}, training.Result{})
	require.Equal(t, ablations.Watch, states["replaced tokens"])
	require.Equal(t, ablations.Watch, states["tables"])
	require.Contains(t, advised, "generator.size=narrow_quarter")
	require.Contains(t, advised, "sharing=token_position")

	_, states, advised = found(t, nil, map[string]func(float64) float64{"gradient_norm": func(part float64) float64 { return 1 + 100*math.Floor(part*2)*math.Floor(1.5-part) }}, training.Result{Diverged: "loss is NaN"})
	require.Equal(t, ablations.Bad, states["end"])
	require.Equal(t, ablations.Watch, states["gradient norm, last quarter"])
	require.Equal(t, []string{"optimizer.learning_rate=0.001"}, advised, "said once")
}

// What an objective does not have is not held against it, and a text that is not at hand is said to be so.
func TestDiagnosisOfWhatIsNotThere(t *testing.T) {
	c := recipes.Tiny()
	require.NoError(t, c.Set("objective.name=mlm"))
	d := ablations.Diagnose(c, []runs.Row{{Step: 10, Values: runs.Values{"lm_loss": 3}}}, training.Result{}, nil)
	require.True(t, d.Learns())
	require.Equal(t, ablations.Unknown, d.Findings[0].State)
	require.Empty(t, d.Advice)
}

// Every section that an advice names is one of docs/results.md.
func TestAdviceIsBacked(t *testing.T) {
	page, err := os.ReadFile("../docs/results.md")
	require.NoError(t, err)
	named := 0
	for _, set := range [][]string{{"positions.relative=none", "optimizer.clip_norm=0.5"}, {"positions.scale=1", "objective.generator_head=norm"}} {
		d, _, _ := found(t, set, map[string]func(float64) float64{"rtd_loss": always(entropy75), "replaced_fraction": always(0.03)}, training.Result{})
		for _, a := range d.Advice {
			if a.Backed != "" {
				named++
				require.Contains(t, string(page), "\n## "+a.Backed+"\n", a.Set)
			}
			c := recipes.Tiny()
			for _, assignment := range splitSettings(a.Set) {
				require.NoError(t, c.Set(assignment), "an advice is what --set takes")
			}
		}
	}
	require.Greater(t, named, 3)
}

// splitSettings parts settings with a space between; a group's value holds one itself.
func splitSettings(set string) []string {
	if strings.HasPrefix(set, "optimizer.groups=") {
		return []string{set}
	}
	return strings.Fields(set)
}
