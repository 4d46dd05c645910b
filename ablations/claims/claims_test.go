// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/ablations/claims"
	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/compress"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// lab is a runner in pure Go on a small text.
func lab(t *testing.T) *training.Runner {
	t.Helper()
	var prose strings.Builder
	for i := range 400 {
		fmt.Fprintf(&prose, "caller %d waits for %d locks and then holds %d of them.\n\n", i%7, i%5, i%3)
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
	runner := &training.Runner{Backend: backendtest.Go(t), BackendKind: "go", CacheDir: t.TempDir(), Store: runs.Store{Root: filepath.Join(t.TempDir(), "runs")}}
	require.NoError(t, runner.OpenCorpus(t.Context(), path, text.Options{}))
	t.Cleanup(func() { require.NoError(t, runner.Close()) })
	return runner
}

// What is planned is committed: a change of a claim's arms, seeds, outcome or contrast, or of the recipe beneath, is another
// plan. Whoever means it, before the first run, has the hashes written into the claims' files by METROLAB_PREREGISTER=1; a claim
// that is in the ledger keeps its plan.
func TestPlansAreAsPreregistered(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	ledger, err := claims.Committed()
	require.NoError(t, err)
	for _, claim := range all {
		var block strings.Builder
		block.WriteString("preregistered:\n")
		variants := claim.Variants()
		for _, v := range variants {
			study, err := claim.Study(v)
			require.NoError(t, err, "%s at %s", claim.ID, v)
			hash, err := claim.Hash(study)
			require.NoError(t, err)
			fmt.Fprintf(&block, "  %s: %s\n", v, hash)
			if os.Getenv("METROLAB_PREREGISTER") == "" {
				require.Equal(t, claim.Preregistered[v.String()], hash, "%s at %s is planned in another way than was committed", claim.ID, v)
			} else if _, run := ledger.Of(claim.ID, v); run {
				require.Equal(t, claim.Preregistered[v.String()], hash, "%s at %s has been run on the plan that was committed", claim.ID, v)
			}
		}
		if os.Getenv("METROLAB_PREREGISTER") != "" {
			file := strings.ToLower(claim.ID) + ".yaml"
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			before, _, _ := strings.Cut(string(text), "preregistered:")
			require.NoError(t, os.WriteFile(file, []byte(before+block.String()), 0o644))
			continue
		}
		require.Len(t, claim.Preregistered, len(variants), "%s: a variant that there is not", claim.ID)
	}
}

// One margin for all, so that the ledger's contrasts are tested together; and each plan is a file's.
func TestClaimsAreAlike(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	require.Greater(t, len(all), 12)
	for i, claim := range all {
		require.Equal(t, all[0].Margin, claim.Margin, claim.ID)
		if i > 0 {
			require.NotEqual(t, all[i-1].ID, claim.ID)
		}
		study, err := claim.Study(claims.Variant{Recipe: "tiny"})
		require.NoError(t, err)
		require.Equal(t, claim.Margin, study.Margin)
		half, err := claim.Study(claims.Variant{Recipe: "tiny", Rate: "half"})
		require.NoError(t, err)
		require.Equal(t, study.Baseline.Optimizer.LearningRate/2, half.Baseline.Optimizer.LearningRate)
		require.Less(t, len(half.Seeds), len(study.Seeds))
	}
	require.Equal(t, []string{"C1", "C2", "C3", "C3b"}, []string{all[0].ID, all[1].ID, all[2].ID, all[3].ID})
}

// What a verdict on the contrast is to a claim.
func TestStatus(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	v := claims.Variant{Recipe: "tiny"}
	status := func(expects claims.Expectation, plan string, values ...float64) claims.Standing {
		claim := all[0]
		claim.Expects = expects
		e := claims.Entry{Claim: claim.ID, Recipe: "tiny", Plan: claim.Preregistered["tiny"], BySeed: map[int64]float64{}}
		if plan != "" {
			e.Plan = plan
		}
		for seed, value := range values {
			e.BySeed[int64(seed)] = value
		}
		return claims.Ledger{e}.Standing(claim, v)
	}
	up, down := []float64{0.2, 0.21, 0.22}, []float64{-0.2, -0.21, -0.22}
	none, wide := []float64{0.001, -0.001, 0.002, -0.002}, []float64{0.5, -0.4, 0.1}
	for _, c := range []struct {
		expects                claims.Expectation
		up, down, none, nobody claims.Status
	}{
		{claims.Better, claims.Confirmed, claims.Contradicted, claims.EquivalentThere, claims.Undecided},
		{claims.Equivalent, claims.Contradicted, claims.Contradicted, claims.Confirmed, claims.Undecided},
		{claims.NotWorse, claims.Confirmed, claims.Contradicted, claims.Confirmed, claims.Undecided},
	} {
		require.Equal(t, c.up, status(c.expects, "", up...).Status, c.expects)
		require.Equal(t, c.down, status(c.expects, "", down...).Status, c.expects)
		require.Equal(t, c.none, status(c.expects, "", none...).Status, c.expects)
		require.Equal(t, c.nobody, status(c.expects, "", wide...).Status, c.expects)
	}
	require.Contains(t, status(claims.Better, "", wide...).Says(), "undecided (")
	other := status(claims.Better, "another", up...)
	require.Equal(t, claims.Withheld, other.Status)
	require.Equal(t, "no verdict: another plan than the one that is committed", other.Says())
	require.Equal(t, claims.NotRun, claims.Ledger{}.Standing(all[0], v).Status)
}

// The table corrects over the whole ledger, and fits terminals.
func TestLedgerTable(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	var ledger claims.Ledger
	for i, claim := range all[:4] {
		e := claims.Entry{Claim: claim.ID, Recipe: "tiny", Plan: claim.Preregistered["tiny"], BySeed: map[int64]float64{}, Hours: 1.25}
		for seed := range int64(6) {
			e.BySeed[seed] = 0.02*float64(i) + 0.01*float64(seed%3)
		}
		ledger = ledger.With(e).With(e)
	}
	half := ledger[0]
	half.Rate, half.Plan = "half", all[0].Preregistered["tiny half"]
	ledger = ledger.With(half)
	require.Len(t, ledger, 5)

	standings := ledger.Standings(all)
	for _, s := range standings[1:4] {
		require.Greater(t, s.HolmP, s.Comparison.P, "corrected for %s", s.Claim.ID)
	}
	again := ledger[1]
	again.Withheld = ablations.Interim + "1 of 4 seeds"
	ended, underWay := ledger.With(again).Ended(ledger)
	require.ElementsMatch(t, ledger, ended, "what is asked again keeps its entry")
	require.Equal(t, claims.Ledger{again}, underWay)
	ended, _ = ledger.With(again).Ended(nil)
	require.Len(t, ended, 4)

	rows := ledger.Table(all).Rows
	require.Contains(t, rows[0][8], "half rate")
	require.Equal(t, "not run", rows[5][3])
	for _, width := range []int{60, 80, 100, 140} {
		text, err := ledger.Table(all).Text(width)
		require.NoError(t, err)
		for line := range strings.Lines(text) {
			require.LessOrEqual(t, uniseg.StringWidth(strings.TrimRight(line, "\n")), width, line)
		}
	}
	figure, err := ledger.Forest(all)
	require.NoError(t, err)
	require.NotEmpty(t, figure.PNG)

	path := filepath.Join(t.TempDir(), "ledger.json")
	require.NoError(t, ledger.Write(path))
	read, err := claims.ReadLedger(path)
	require.NoError(t, err)
	require.ElementsMatch(t, ledger, read)
	require.NoError(t, claims.Ledger(nil).Write(path))
	empty, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "[]\n", string(empty))
	none, err := claims.ReadLedger(path + "x")
	require.NoError(t, err)
	require.Empty(t, none)
}

// The page in docs is what the committed ledger says.
func TestThePageIsTheLedgers(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	ledger, err := claims.Committed()
	require.NoError(t, err)
	want, err := ledger.Page(all)
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/claims.md")
	require.NoError(t, err)
	require.Equal(t, want, string(page), "write it with: metro claims record --ledger ablations/claims/ledger.json --page docs/claims.md")
	for _, e := range ledger {
		claim, err := claims.Find(e.Claim)
		require.NoError(t, err)
		standing := ledger.Standing(claim, claims.Variant{Recipe: e.Recipe, Rate: e.Rate})
		require.NotContains(t, standing.Says(), "another plan", "%s was run on another plan", e.Claim)
	}
}

// lowRank is the part of a claim's file that has one arm of low rank.
const lowRank = "low_rank:\n  - {name: low, target: feed_forward, method: svd, layers: last, ranks: [1]}\n"

func TestClaimsThatAreWrong(t *testing.T) {
	const whole = "id: X\nclaim: y\nsource: z\ncertainty: paper\npublished: w\nexpects: better\nmargin: 0.02\nseeds: [0]\narms:\n  - {name: a, set: {positions.relative: none}}\n"
	_, err := claims.Parse("x.yaml", []byte(whole+"contrast: {baseline: 1, a: -1}\n"))
	require.NoError(t, err)
	for more, says := range map[string]string{
		"contrast: {baseline: 1, b: -1}\n":                        `names the arm "b"`,
		"contrast: {baseline: 1, a: -2}\n":                        "add up to 0",
		"contrast: {baseline: x}\n":                               "x.yaml:11:",
		"contrst: {}\n":                                           `did you mean "contrast"`,
		"contrast: {baseline: 1, a: -1}\nset: {trainig.steps: 1}": `did you mean "training.steps"`,
		"contrast: {baseline: 1, a: -1}\n" + lowRank:              "beside no other arm",
	} {
		_, err := claims.Parse("x.yaml", []byte(whole+more))
		require.True(t, usererr.Is(err), more)
		require.ErrorContains(t, err, says)
	}
	alone, _, _ := strings.Cut(whole, "arms:")
	alone += "contrast: {baseline: 1, low: -1}\n"
	_, err = claims.Parse("x.yaml", []byte(alone+lowRank))
	require.NoError(t, err)
	for more, says := range map[string]string{
		strings.Replace(lowRank, "low,", "baseline,", 1): `"baseline" is not`,
		strings.Replace(lowRank, "rank", "rnk", 2):       "low_rnk",
		lowRank + lowRank[len("low_rank:\n"):]:           `"low" is not`,
		lowRank + "outcome: val_rtd_auc\n":               "on a frozen set of tokens, not by val_rtd_auc",
		strings.Replace(lowRank, "[1]", "[0]", 1):        "1 or more, not 0",
		strings.Replace(lowRank, "[1]", "[1, 65]", 1):    `arm "low" at tiny: a rank of 65 is more than main.layer_1.ffn_in.weights, 64 × 128`,
		strings.Replace(lowRank, "last", "first", 1):     `not "first"`,
		strings.Replace(lowRank, "svd", "lu", 1):         `a method of ["cp"`,
	} {
		_, err := claims.Parse("x.yaml", []byte(alone+more))
		require.True(t, usererr.Is(err), "%s: %v", more, err)
		require.ErrorContains(t, err, says)
	}
	_, err = claims.Find("C99")
	require.ErrorContains(t, err, "there are C1, C2, C3")
}

// Every claim's study runs: a few steps of a tiny model for each of its arms, so that none rots unasked.
func TestEachClaimRuns(t *testing.T) {
	runner := lab(t)
	all, err := claims.All()
	require.NoError(t, err)
	for _, claim := range all {
		v := claims.Variant{Recipe: "micro"}
		study, err := claim.Study(v)
		require.NoError(t, err)
		config, reads, err := claim.Auxiliary(study)
		require.NoError(t, err)
		if reads {
			result, err := runner.Run(t.Context(), study.Recipe, config, nil)
			require.NoError(t, err)
			study = claims.WithAuxiliary(study, result.Run.Dir)
		}
		if study.Finetune != nil { // on texts that are made here, since the probe's are Go's whole documentation
			study.Finetune.Task, study.Finetune.Steps = labelled(t), 4
		}
		if len(claim.LowRank()) > 0 { // whose ranks ask for matrices of 32
			require.NoError(t, study.Baseline.SetAll("main.width=32", "generator.width=32"))
		}
		results, err := study.Run(t.Context(), runner, 2, nil)
		require.NoError(t, err, claim.ID)
		require.Equal(t, len(results.Runs), results.Ended(), claim.ID)
		require.NoError(t, claim.MeasureLowRank(t.Context(), runner, results, nil))
		entry, err := claim.Entry(v, results)
		require.NoError(t, err)
		require.Len(t, entry.BySeed, 1, claim.ID)
		require.Equal(t, "another plan than the one that is committed", entry.Withheld, "nobody has planned this")
		require.NotEmpty(t, entry.Date)

		loaded, err := ablations.Open(filepath.Join(runner.Store.Root, study.Name))
		require.NoError(t, err)
		again, err := claim.Entry(v, loaded)
		require.NoError(t, err)
		require.Equal(t, entry, again, "what lies on the disk is enough")
	}
}

// Arms of low rank are the baseline's models: without their measuring there is no verdict, full rank changes nothing, what
// was measured of other arms does not count, and the difference is that of the rows that did not choose.
func TestArmsOfLowRank(t *testing.T) {
	runner := lab(t)
	parse := func(arms string) claims.Claim {
		text := "id: X\nclaim: y\nsource: z\ncertainty: paper\npublished: w\nexpects: better\nmargin: 0.02\nseeds: [3]\n" +
			"contrast: {low: 2, baseline: -2}\n" + arms
		claim, err := claims.Parse("x.yaml", []byte(text))
		require.NoError(t, err)
		return claim
	}
	claim, v := parse(lowRank), claims.Variant{Recipe: "micro"}
	study, err := claim.Study(v)
	require.NoError(t, err)
	results, err := study.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	written, err := results.Write(filepath.Join(runner.Store.Root, study.Name))
	require.NoError(t, err, "a study of the baseline alone has a report as any has")
	require.FileExists(t, written.Report)
	entry := func(c claims.Claim) claims.Entry {
		c.Preregistered["micro"], err = c.Hash(study)
		require.NoError(t, err)
		e, err := c.Entry(v, results)
		require.NoError(t, err)
		return e
	}
	require.Equal(t, "interim: low rank is measured of 0 of 1 models", entry(claim).Withheld)

	require.NoError(t, claim.MeasureLowRank(t.Context(), runner, results, nil))
	measured := entry(claim)
	require.Empty(t, measured.Withheld)
	src, err := training.LoadPretrained(filepath.Join(runner.Store.Root, results.Runs[0].ID))
	require.NoError(t, err)
	weights, err := src.Source()
	require.NoError(t, err)
	defer weights.Close()
	dataset, err := runner.Dataset(t.Context(), study.Baseline, nil)
	require.NoError(t, err)
	set, err := training.FrozenSet(dataset, training.FrozenUnigram, study.Baseline.Evaluation.Rows)
	require.NoError(t, err)
	halves, err := compress.NewHalves(set)
	require.NoError(t, err)
	detector, err := compress.NewDetector(runner.Backend, weights, halves)
	require.NoError(t, err)
	defer detector.Close()
	asked := compress.Study{Target: compress.TargetFeedForward, Methods: []string{compress.MethodSVD}, Layers: []string{"last"}, Ranks: []int{1}}
	scores, err := asked.Score(t.Context(), detector, weights, nil)
	require.NoError(t, err)
	want := asked.Summarise(halves, []*compress.Scores{scores}).Variants[0].Reported
	require.NotZero(t, want)
	require.Equal(t, map[int64]float64{3: 2 * want}, measured.BySeed)

	onBigrams := results
	onBigrams.Study.Outcome.Metric = training.FrozenBigram
	require.NoError(t, claim.MeasureLowRank(t.Context(), runner, onBigrams, nil))
	require.Contains(t, entry(claim).Withheld, "0 of 1 models", "what lies there is of another set")
	require.NoError(t, claim.MeasureLowRank(t.Context(), runner, results, nil))
	require.Equal(t, measured, entry(claim))

	whole := parse(strings.Replace(lowRank, "[1]", "[16]", 1))
	require.Contains(t, entry(whole).Withheld, "0 of 1 models", "what lies there is of rank 1")
	require.NoError(t, whole.MeasureLowRank(t.Context(), runner, results, nil))
	require.InDelta(t, 0, entry(whole).BySeed[3], 1e-3, "full rank is the model as it is")
}

// labelled writes texts of two classes, and returns their file.
func labelled(t *testing.T) string {
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, `{"text": "the %d files are %s", "label": "%[2]s"}`+"\n", i, []string{"open", "closed"}[i%2])
	}
	path := filepath.Join(t.TempDir(), "labelled.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	return path
}
