// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

func TestTokensKeepTheirPlaces(t *testing.T) {
	long := demoCorrection()
	long.Tokens = append(long.Tokens, Token{Text: strings.Repeat("unbreakable", 30)}, Token{Text: "a", Correction: strings.Repeat("long ", 60)},
		Token{Text: "("}, Token{Text: "nil", Joined: true}, Token{Text: ").", Joined: true})
	d := newCorrectionDrawing(long)
	require.Len(t, d.boxes, len(long.Tokens))
	for i, box := range d.boxes {
		require.GreaterOrEqual(t, box.left, margin)
		require.LessOrEqual(t, box.right, pageWidth-margin+1e-9, "%q", box.text)
		require.Positive(t, box.right-box.left)
		require.True(t, box.middle > box.left && box.middle < box.right)
		if i == 0 {
			continue
		}
		before := d.boxes[i-1]
		require.True(t, box.line == before.line && box.left >= before.right || box.line == before.line+1 && box.left == margin)
		if box.line == before.line && long.Tokens[i].joined() {
			require.Equal(t, before.right, box.left, "a piece of a word joins it, and so does a full stop")
		}
	}
	for i := 1; i < len(d.bottoms); i++ {
		least := tokenBox
		if d.corrected(i) {
			least += aboveLine
		}
		require.Greater(t, d.bottoms[i]-d.bottoms[i-1], least, "room for the line")
	}
}

func TestTintsAreTheProbabilities(t *testing.T) {
	c := demoCorrection()
	f, err := c.Figure()
	require.NoError(t, err)
	d, pixel := newCorrectionDrawing(c), pixelsOf(t, f)
	for i, box := range d.boxes[:12] {
		corner := vg.Point{X: box.left + 1, Y: d.height - d.top - d.bottoms[box.line] + 1}
		requireNear(t, suspicion.at(c.Tokens[i].Replaced), pixel(corner))
	}
}

func TestCorrectionRefusesWhatIsNoProbability(t *testing.T) {
	for want, tokens := range map[string][]Token{
		`0 tokens; it takes 1 to 2000`: nil,
		`token 0 ("a") has 3, which is no probability; give the sigmoid of its RTD logit`:   {{Text: "a", Replaced: 3}},
		`token 0 ("a") has NaN, which is no probability; give the sigmoid of its RTD logit`: {{Text: "a", Replaced: math.NaN()}},
	} {
		c := Correction{Name: "c", Tokens: tokens}
		_, err := c.Figure()
		require.EqualError(t, err, `viz: correction "c": `+want)
		_, err = c.HTML()
		require.EqualError(t, err, `viz: correction "c": `+want)
	}
}

func TestCorrectionHTMLEscapesHostileText(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	page, err := Correction{Name: "c", Tokens: []Token{{Text: evil, Correction: evil, Replaced: 1}}}.HTML()
	require.NoError(t, err)
	require.NotRegexp(t, `(?i)<(script|img)`, string(page))
	require.Contains(t, string(page), "&lt;script&gt;")
}

func ExampleCorrection() {
	c := Correction{Name: "corrected", Title: "What the model would correct", Tokens: []Token{
		{Text: "return", Replaced: 0.02}, {Text: "##s", Replaced: 0.04}, {Text: "an", Replaced: 0.11}, {Text: "elephant", Replaced: 0.97, Correction: "error"},
		{Text: ".", Joined: true},
	}}
	f, err := c.Figure()
	fmt.Println(f.Width, f.Height, err)
	fmt.Println(f.Alt)
	// Output:
	// 720 149 <nil>
	// Probability of replaced in brackets, with the correction before it: returns an elephant [error, 0.97].
}

func ExampleCorrection_HTML() {
	page, err := Correction{Name: "corrected", Tokens: []Token{{Text: "an", Replaced: 0}, {Text: "elephant", Replaced: 1, Correction: "error"}, {Text: ".", Joined: true}}}.HTML()
	fmt.Print(page)
	fmt.Println(err)
	// Output:
	// <p style="line-height:2.4"><span title="replaced: 0.000" style="background-color:rgba(240,144,60,0.00)">an</span>
	// <span title="replaced: 1.000" style="background-color:rgba(240,144,60,1.00);color:#1f2328"><s>elephant</s><sup><b>error</b></sup></span><span title="replaced: 0.000" style="background-color:rgba(240,144,60,0.00)">.</span></p>
	// <nil>
}
