// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/viz"
)

// TestDemoReport builds a full report of made-up numbers; METROLAB_KEEP_DEMO=dir keeps it for a look in a browser.
func TestDemoReport(t *testing.T) {
	dir := t.TempDir()
	if keep := os.Getenv("METROLAB_KEEP_DEMO"); keep != "" {
		dir = keep
	}
	for _, arms := range []int{2, 7} {
		r := demoReport(arms)
		r.Figures = demoFigures(t, arms)
		path := filepath.Join(dir, fmt.Sprintf("report-%d.html", arms))
		require.NoError(t, r.Save(path))
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		again, err := r.HTML()
		require.NoError(t, err)
		require.True(t, bytes.Equal(page, again), "the same input gives the same bytes")
		requireSelfContained(t, string(page))
		require.Equal(t, 3, strings.Count(string(page), `src="data:image/png;base64,`))
		require.Equal(t, arms+1, strings.Count(string(page), "<details>"))
	}
}

// requireSelfContained fails on anything that would load from elsewhere or run.
func requireSelfContained(t *testing.T, page string) {
	require.NotRegexp(t, regexp.MustCompile(`(?i)<(script|iframe|object|embed|form|base)\b`), page)
	require.NotRegexp(t, regexp.MustCompile(`(?i)\s(on[a-z]+)\s*=`), page)
	require.NotRegexp(t, regexp.MustCompile(`(?i)(https?:|javascript:|@import|url\()`), page)
	for _, m := range regexp.MustCompile(`(?i)\s(?:src|href|srcset|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.True(t, strings.HasPrefix(m[1], "data:"), "%.60s", m[1])
	}
	require.Contains(t, page, "default-src 'none'")
}

func TestReportEscapesHostileNames(t *testing.T) {
	r := demoReport(1)
	r.Figures = []viz.Figure{{Name: "x", PNG: []byte{1}}}
	evil := `"><script src=x>alert(1)</script><img src=x onerror=alert(1)>{{.}}</style>`
	r.Title, r.Summary, r.Outcome, r.Baseline.Name = evil, evil, evil, evil
	r.Effects[0].Name, r.Effects[0].Note = evil, evil
	r.Figures[0].Alt, r.Figures[0].Caption = evil, evil
	r.Runs.Columns[2].Name, r.Runs.Rows[0][2], r.Failed[5] = evil, evil, evil
	r.Configs[0].Name, r.Configs[1].Fields[0] = evil, Field{evil, evil}
	r.Provenance[0] = Field{evil, evil}
	r.Notes[0] = evil
	page, err := r.HTML()
	require.NoError(t, err)
	require.NotRegexp(t, `(?i)<script|<img src=x`, string(page))
	require.Equal(t, 1, strings.Count(string(page), "</style>"))
	require.Contains(t, string(page), "&lt;script src=x&gt;")
}

func TestReportSaysTheAnswerFirst(t *testing.T) {
	effect := func(name string, v viz.Verdict) viz.Effect {
		return viz.Effect{Name: name, Low: math.NaN(), High: math.NaN(), Verdict: v}
	}
	for want, effects := range map[string]viz.Effects{
		"Worse than METRO: no bias. Undecided: 1 of 2 changes.":           {effect("no bias", viz.Worse), effect("b", viz.Undecided)},
		"Better than METRO: a, b. Worse than METRO: c.":                   {effect("a", viz.Better), effect("b", viz.Better), effect("c", viz.Worse)},
		"Undecided: these runs cannot tell any change from the baseline.": {effect("a", viz.Undecided), effect("b", viz.Undecided)},
		"Undecided: these runs cannot tell the change from the baseline.": {effect("a", viz.Undecided)},
		"Better than METRO: 1 change. Worse than METRO: 1 change.":        {effect(strings.Repeat("long ", 12), viz.Better), effect(strings.Repeat("name ", 12), viz.Worse)},
	} {
		require.Equal(t, want, Report{Baseline: Baseline{Name: "METRO"}, Effects: effects}.headline())
	}
}

func TestReportShowsWhatChanged(t *testing.T) {
	r := Report{Configs: []Config{
		{"baseline", []Field{{"a", "1"}, {"b", "2"}}},
		{"same", []Field{{"a", "1"}, {"b", "2"}}},
		{"other", []Field{{"a", "3"}, {"c", "4"}}},
	}}
	views := r.changes()
	require.Zero(t, views[0].Changed)
	require.Zero(t, views[1].Changed)
	require.Equal(t, 3, views[2].Changed)
	require.Equal(t, "a: 1 \u2192 3; c: \u2013 \u2192 4; b: 2 \u2192 \u2013", views[2].Summary)
}

func TestReportFlagsFailedRuns(t *testing.T) {
	r := demoReport(1)
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "1 of 6 runs ended without an outcome")
	require.Equal(t, 1, strings.Count(string(page), `<tr class="failed"><td class="num">failed</td>`))
	require.Contains(t, string(page), "<td>loss is NaN at step 720</td>")
}

// A baseline by itself is a study too: its runs, and no verdict.
func TestReportOfTheBaselineAlone(t *testing.T) {
	r := demoReport(1)
	r.Effects = nil
	path := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, r.Save(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "Nothing to compare: "+r.Baseline.Name+" alone.")
	require.NotContains(t, string(page), "paired t test", "there are no pairs")
}

func TestReportRefusesWhatWouldMislead(t *testing.T) {
	good := demoReport(1)
	path := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, good.Save(path))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	for want, spoil := range map[string]func(*Report){
		"needs a title, an outcome and a baseline name": func(r *Report) { r.Outcome = "" },
		`has the verdict ""`:                            func(r *Report) { r.Effects = viz.Effects{{Name: "a"}} },
		"outside its interval":                          func(r *Report) { r.Effects = viz.Effects{{Verdict: viz.Better, Low: 1, High: 2}} },
		`figure 1 ("x") has no picture or no caption`:   func(r *Report) { r.Figures = []viz.Figure{{Name: "x"}} },
		"failed run 6 is not among the 6 runs":          func(r *Report) { r.Failed = map[int]string{6: "x"} },
		"row 1 of 1 has 0 cells for 8 columns":          func(r *Report) { r.Runs.Rows, r.Failed = [][]any{{}}, nil },
	} {
		r := good
		spoil(&r)
		err := r.Save(path)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the old report stays")
}

func ExampleReport() {
	page, err := Report{
		Title:    "Does the encoder need relative positions?",
		Summary:  "Two seeds each of a made-up study.",
		Outcome:  "RTD AUC on the frozen held-out set",
		Baseline: Baseline{Name: "METRO", Mean: 0.77, Runs: 3},
		Effects:  viz.Effects{{Name: "no relative positions", Pairs: 3, Mean: 0.514, Diff: -0.256, Low: -0.339, High: -0.173, P: 0.006, HolmP: 0.006, Verdict: viz.Worse}},
	}.HTML()
	fmt.Println(err, bytes.Contains(page, []byte("<h2>Worse than METRO: no relative positions.</h2>")))
	// Output:
	// <nil> true
}
