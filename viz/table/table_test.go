// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/csv"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
)

func demoTable() Table {
	return Table{
		Columns: []Column{{"arm", Left, ""}, {"diff", Right, "%+.3f"}, {"p", Right, "%.3f"}, {"pairs", Right, ""}, {"verdict", Left, ""}},
		Rows: [][]any{
			{"no relative positions", -0.25631, 0.0112, 3, "worse"},
			{"\u65e5\u672c\u8a9e e\u0301 tokenizer", 0.00471, 0.4928, 3, "undecided"},
			{"no CLM", math.NaN(), nil, 1, "undecided"},
		},
	}
}

func TestTableText(t *testing.T) {
	text, err := demoTable().Text(0)
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
arm                      diff      p  pairs  verdict
─────────────────────  ──────  ─────  ─────  ─────────
no relative positions  -0.256  0.011      3  worse
日本語 é tokenizer     +0.005  0.493      3  undecided
no CLM                      –      –      1  undecided
`, "\n"), text)
}

func TestTableTextFitsTheTerminal(t *testing.T) {
	text, err := demoTable().Text(46)
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
arm              diff      p  pairs  verdict
─────────────  ──────  ─────  ─────  ─────────
no relative    -0.256  0.011      3  worse
positions
日本語 é       +0.005  0.493      3  undecided
tokenizer
no CLM              –      –      1  undecided
`, "\n"), text)
	for width := 41; width < 70; width++ {
		text, err := demoTable().Text(width)
		require.NoError(t, err)
		for _, line := range strings.Split(text, "\n") {
			require.LessOrEqual(t, uniseg.StringWidth(line), width, "%d:\n%s", width, text)
		}
	}
	narrow, err := demoTable().Text(5)
	require.NoError(t, err)
	require.Contains(t, narrow, "-0.256", "numbers are never broken")
}

// A word stays whole at any width that it has room for: columns are narrowed to their longest word, names of columns too, and
// then each row becomes a list.
func TestTableTextKeepsWordsWhole(t *testing.T) {
	study := Table{
		Columns: []Column{{"arm", Left, ""}, {"frozen AUC, unigram", Right, "%.3f"}, {"difference", Right, ""}, {"95 % CI", Right, ""}, {"p (Holm)", Right, "%.4f"}, {"pairs", Right, ""}, {"verdict", Left, ""}},
		Rows: [][]any{
			{"baseline", 0.7531, nil, nil, nil, 3, nil},
			{"generator of half the width", 0.6512, "-0.102", "[-0.231, +0.027]", 0.1234, 3, "undecided"},
			{"学習率を大きくする", 0.6512, "-0.102", "[-0.231, +0.027]", 0.1234, 3, "undecided"},
		},
	}
	words := []string{"generator", "undecided", "[-0.231, +0.027]", "-0.102", "0.1234", "difference", "unigram", "(Holm)", "baseline"}
	for width := 28; width <= 140; width++ {
		text, err := study.Text(width)
		require.NoError(t, err)
		for line := range strings.Lines(text) {
			require.LessOrEqual(t, uniseg.StringWidth(strings.TrimSuffix(line, "\n")), width, "%d:\n%s", width, text)
		}
		for _, word := range words {
			require.Contains(t, text, word, "%d:\n%s", width, text)
		}
	}
	text, err := study.Text(80)
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
arm             frozen  difference           95 % CI  p (Holm)  pairs  verdict
                  AUC,
               unigram
──────────  ──────────  ──────────  ────────────────  ────────  ─────  ─────────
baseline         0.753           –                 –         –      3  –
generator        0.651      -0.102  [-0.231, +0.027]    0.1234      3  undecided
of half
the width
学習率を大       0.651      -0.102  [-0.231, +0.027]    0.1234      3  undecided
きくする
`, "\n"), text)
	text, err = Table{Columns: study.Columns, Rows: study.Rows[:2]}.Text(40)
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
arm                  baseline
frozen AUC, unigram  0.753
difference           –
95 % CI              –
p (Holm)             –
pairs                3
verdict              –

arm                  generator of half
                     the width
frozen AUC, unigram  0.651
difference           -0.102
95 % CI              [-0.231, +0.027]
p (Holm)             0.1234
pairs                3
verdict              undecided
`, "\n"), text)
}

func TestTableMarkdown(t *testing.T) {
	got, err := demoTable().Markdown()
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
| arm | diff | p | pairs | verdict |
| --- | ---: | ---: | ---: | --- |
| no relative positions | -0.256 | 0.011 | 3 | worse |
| 日本語 é tokenizer | +0.005 | 0.493 | 3 | undecided |
| no CLM | – | – | 1 | undecided |
`, "\n"), got)
}

func TestTableHTML(t *testing.T) {
	table := demoTable()
	table.Rows = table.Rows[:1]
	got, err := table.HTML()
	require.NoError(t, err)
	require.EqualValues(t, `<table>
<thead><tr><th scope="col">arm</th><th scope="col" class="num">diff</th><th scope="col" class="num">p</th><th scope="col" class="num">pairs</th><th scope="col">verdict</th></tr></thead>
<tbody>
<tr><td>no relative positions</td><td class="num">`+"\u2212"+`0.256</td><td class="num">0.011</td><td class="num">3</td><td>worse</td></tr>
</tbody>
</table>
`, got)
}

func TestTableCSVIsExact(t *testing.T) {
	got, err := demoTable().CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"no relative positions", "-0.25631", "0.0112", "3", "worse"}, rows[1])
	require.Equal(t, []string{"no CLM", "NaN", "", "1", "undecided"}, rows[3])
	require.Equal(t, "0.1", exact(float32(0.1)))
}

func TestTableEscapesHostileText(t *testing.T) {
	evil := "<script>alert(1)</script> | [x](javascript:y) `z` \x1b[31m\nline"
	table := Table{Columns: []Column{{evil, Left, ""}}, Rows: [][]any{{evil}}}
	html, err := table.HTML()
	require.NoError(t, err)
	require.NotContains(t, string(html), "<script")
	md, err := table.Markdown()
	require.NoError(t, err)
	require.NotContains(t, md, "<script")
	require.NotContains(t, md, "[x]")
	require.Contains(t, md, `\|`)
	require.Equal(t, 3, strings.Count(md, "\n"), "no line of its own")
	text, err := table.Text(0)
	require.NoError(t, err)
	require.NotContains(t, text, "\x1b", "no escape sequence reaches the terminal")
	sheet, err := table.CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(sheet)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, evil, rows[1][0])
}

func TestTableRefusesRaggedRows(t *testing.T) {
	ragged := Table{Columns: []Column{{"a", Left, ""}, {"b", Left, ""}}, Rows: [][]any{{1, 2}, {1}}}
	const want = "viz: table row 2 of 2 has 1 cells for 2 columns"
	_, err := ragged.Text(80)
	require.EqualError(t, err, want)
	_, err = ragged.Markdown()
	require.EqualError(t, err, want)
	_, err = ragged.HTML()
	require.EqualError(t, err, want)
	_, err = ragged.CSV()
	require.EqualError(t, err, want)
	_, err = Table{}.Text(0)
	require.EqualError(t, err, "viz: table has no columns")
}

func ExampleTable() {
	table := Table{
		Columns: []Column{{Name: "arm"}, {Name: "RTD AUC", Align: Right, Format: "%.3f"}, {Name: "seeds", Align: Right}},
		Rows:    [][]any{{"baseline", 0.7697, 3}, {"no relative positions", 0.5137, 3}},
	}
	text, _ := table.Text(80)
	fmt.Print(text)
	// Output:
	// arm                    RTD AUC  seeds
	// ─────────────────────  ───────  ─────
	// baseline                 0.770      3
	// no relative positions    0.514      3
}

// A cell of text is never a formula to whoever opens the file, and a number is still one.
func TestCSVHoldsNoFormulas(t *testing.T) {
	for cell, want := range map[any]string{
		"=1+2": "'=1+2", "+bias": "'+bias", "-bias": "'-bias", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", " =1": "' =1",
		"\uff1d1": "'\uff1d1", "=HYPERLINK(\"http://x\",\"y\")": "'=HYPERLINK(\"http://x\",\"y\")",
		"a=b": "a=b", "-0.5": "-0.5", "+1e-3": "+1e-3", "": "", -0.5: "-0.5", int64(-3): "-3",
	} {
		text, err := Table{Columns: []Column{{Name: "=head"}, {Name: "b"}}, Rows: [][]any{{cell, 1}}}.CSV()
		require.NoError(t, err)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, [][]string{{"'=head", "b"}, {want, "1"}}, rows, "%q", cell)
	}
}
