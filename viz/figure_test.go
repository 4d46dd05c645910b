// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"

	"metrolab/viz/internal/typeset"
)

// allFigures are figures that test the layout: few and many series, long names, all verdicts.
func allFigures(t *testing.T) map[string]func() (Figure, error) {
	wide := demoBars()
	wide.Groups, wide.Series = longNames, nil
	for i := range 6 {
		s := BarSeries{Name: longNames[i]}
		for g := range longNames {
			v := float64(30*(g-3) + i)
			s.Values, s.Low, s.High = append(s.Values, v), append(s.Low, v-20), append(s.High, v+50)
		}
		wide.Series = append(wide.Series, s)
	}
	wide.Series[5].Name = strings.Repeat("unbreakable", 20)
	title := demoCurves("a")
	title.Title, title.Y.Label = strings.Repeat("a long title ", 20), strings.Repeat("a long label ", 20)
	return map[string]func() (Figure, error){
		"two curves": demoCurves("METRO", "no relative positions").Figure, "eight curves": demoCurves(longNames...).Figure, "long title": title.Figure,
		"one arm":    Forest{Name: "f", Title: "one", Outcome: "AUC", Effects: demoEffects(1)}.Figure,
		"seven arms": Forest{Name: "f", Title: "seven", Outcome: strings.Repeat("a long outcome ", 9), Effects: demoEffects(7), LowerIsBetter: true}.Figure,
		"bars":       demoBars().Figure, "many bars": wide.Figure,
		"bias map": BiasMap(demoBuckets(32), demoBias(4, 32)).Figure, "12 heads": BiasMap(demoBuckets(128), demoBias(12, 128)).Figure,
		"bias by position": demoSquares().Figure, "one head": demoAttention(1).Figure, "five heads": demoAttention(5).Figure,
		"profile": BiasProfile(demoNoise(32).X, demoBias(4, 32)).Figure, "many heads": BiasProfile(demoNoise(32).X, demoBias(16, 32)).Figure,
		"ROC":         ROC{Name: "roc", Title: "ROC", Series: demoDetections(longNames[:3]...)}.Figure,
		"calibration": Calibration{Name: "calibration", Title: "Calibration", Series: demoDetections(longNames[:3]...)}.Figure,
		"waits":       demoWaits(longNames[:4]...).Figure, "one wait": demoWaits("METRO").Figure,
		"sizes": demoSizes().Figure, "shares": demoShares().Figure, "correction": demoCorrection().Figure, "timings": demoTimings().Figure,
		"spikes": LossSpikes(Seconds, Series{"run", []Line{demoNoise(600, 200, 201, 450)}}).Figure,
		"norms":  GradientNorms(Steps, 3, Series{"run", []Line{demoNoise(600, 300)}}).Figure,
		"cosine": TieCosine(Tokens.OnLogScale(), Series{"run", []Line{{X: []float64{1, 2e3, 4e6}, Y: []float64{0.4, 0.1, -0.2}}}}).Figure,
	}
}

func TestFiguresAreEqualOnRerunAndKeepTheirMargin(t *testing.T) {
	for name, draw := range allFigures(t) {
		t.Run(name, func(t *testing.T) {
			f, err := draw()
			require.NoError(t, err)
			again, err := draw()
			require.NoError(t, err)
			require.True(t, bytes.Equal(f.PNG, again.PNG), "the same numbers give the same bytes")
			img, err := png.Decode(bytes.NewReader(f.PNG))
			require.NoError(t, err)
			require.Equal(t, 720, f.Width)
			require.InDelta(t, f.Height, float64(img.Bounds().Dy())/2, 0.5, "shown at half its pixels")
			requireBlankMargin(t, img)
			require.Less(t, len(f.PNG), 150_000)
		})
	}
}

// requireBlankMargin fails where something reaches the edge of the picture, which is where it would be cut off.
func requireBlankMargin(t *testing.T, img image.Image) {
	const margin = 16 // pixels
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if inner := b.Inset(margin); x == inner.Min.X && y >= inner.Min.Y && y < inner.Max.Y {
				x = inner.Max.X // nothing to look at between the margins
			}
			if c := color.NRGBAModel.Convert(img.At(x, y)); c != paper {
				t.Fatalf("%v at %d, %d", c, x, y)
			}
		}
	}
}

func TestPaletteKeepsColors(t *testing.T) {
	few := map[color.RGBA]int{{R: 1, A: 255}: 5, {R: 255, A: 255}: 9}
	index, colors := paletteOf(few)
	require.Len(t, colors, 2)
	require.Equal(t, color.RGBA{R: 255, A: 255}, colors[0])
	require.EqualValues(t, 1, index[color.RGBA{R: 1, A: 255}])
	shades := map[color.RGBA]int{}
	for i := range 4000 {
		shades[color.RGBA{R: uint8(i % 256), G: uint8(i / 16), A: 255}] = 1 + i%3
	}
	index, colors = paletteOf(shades)
	require.NotNil(t, colors)
	for c, at := range index {
		require.LessOrEqual(t, squaredDistance(c, colors[at].(color.RGBA)), 40*40)
	}
	for i := range 2000 { // colors of areas, which must not be touched, too many for a palette
		shades[color.RGBA{R: uint8(8 * (i % 32)), G: uint8(8 * (i / 32)), B: 200, A: 255}] = 5000
	}
	_, colors = paletteOf(shades)
	require.Nil(t, colors)
}

func TestSave(t *testing.T) {
	f, err := demoCurves("a").Figure()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "new", "folder")
	path, err := f.Save(dir)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "outcome.png"), path)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, f.PNG, got)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays")

	_, err = Figure{Name: "a/b", PNG: []byte{1}}.Save(dir)
	require.ErrorContains(t, err, "cannot be a file name")
	_, err = Figure{Name: "empty"}.Save(dir)
	require.ErrorContains(t, err, "holds no picture")
	_, err = f.Save(path)
	require.Error(t, err, "a file is in the place of the folder")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "taken.png", "x"), 0o755))
	f.Name = "taken"
	_, err = f.Save(dir)
	require.ErrorContains(t, err, "taken.png")
	entries, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nor after a failure")
}

func TestForestRefusesWhatMakesNoSense(t *testing.T) {
	nan := math.NaN()
	good := Effect{Name: "a", Diff: 1, Low: 0, High: 2, Verdict: Better}
	with := func(change func(*Effect)) Forest {
		e := good
		change(&e)
		return Forest{Name: "f", Effects: []Effect{e}}
	}
	for want, f := range map[string]Forest{
		`viz: forest "f" has no arms`: {Name: "f"},
		`viz: forest "f": arm "a" has the verdict "good"; it must be better, worse, equivalent or undecided`: with(func(e *Effect) { e.Verdict = "good" }),
		`viz: forest "f": arm "a" has a difference of 3 outside its interval [0, 2]`:                         with(func(e *Effect) { e.Diff = 3 }),
		`viz: forest "f": arm "a" has a difference of NaN outside its interval [0, 2]`:                       with(func(e *Effect) { e.Diff = nan }),
		`viz: forest "f": arm "a" has a difference of 1 outside its interval [NaN, 2]`:                       with(func(e *Effect) { e.Low = nan }),
	} {
		_, err := f.Figure()
		require.EqualError(t, err, want)
	}
}

func TestBarsRefuseWhatMakesNoSense(t *testing.T) {
	nan := math.NaN()
	bars := func(s BarSeries) Bars {
		s.Name = "s"
		return Bars{Name: "b", Groups: []string{"x", "y"}, Series: []BarSeries{s}}
	}
	for want, b := range map[string]Bars{
		`viz: bars "b": nothing to draw: 0 groups, 0 series, no finite value`:                   {Name: "b"},
		`viz: bars "b": nothing to draw: 2 groups, 1 series, no finite value`:                   bars(BarSeries{Values: []float64{nan, nan}}),
		`viz: bars "b": series "s" has 1 values, 0 low and 0 high ends for 2 groups`:            bars(BarSeries{Values: []float64{1}}),
		`viz: bars "b": series "s" has 2 values, 1 low and 0 high ends for 2 groups`:            bars(BarSeries{Values: []float64{1, 2}, Low: []float64{1}}),
		`viz: bars "b": series "s" has an infinite value in group 2; mark a missing one by NaN`: bars(BarSeries{Values: []float64{1, math.Inf(1)}}),
		`viz: bars "b": series "s" has 1 outside its error bar [2, 3] in group 1`:               bars(BarSeries{Values: []float64{1, 2}, Low: []float64{2, 1}, High: []float64{3, 3}}),
	} {
		_, err := b.Figure()
		require.EqualError(t, err, want)
	}
}

func FuzzWrap(f *testing.F) {
	for _, s := range []string{"", "one", "a.very.long.dotted.path=0.5 and words", "\u65e5\u672c\u8a9e \xff\xfe", "a\x00b\u202e"} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		if len(text) > 200 || width < 0 || width > 1000 {
			return // longer or wider than any label
		}
		lines := wrap(labelFace, text, vg.Length(width))
		require.Equal(t, strings.Join(strings.Fields(typeset.Printable(text)), ""), strings.ReplaceAll(strings.Join(lines, ""), " ", ""), "no text is lost")
		for _, line := range lines {
			require.True(t, labelFace.Width(line) <= vg.Length(width) || len([]rune(line)) == 1, "%q is too wide", line)
		}
	})
}

func ExampleForest() {
	f, err := Forest{Name: "forest", Title: "What each change does", Outcome: "RTD AUC", Effects: []Effect{
		{Name: "no relative positions", Pairs: 3, Diff: -0.256, Low: -0.339, High: -0.173, HolmP: 0.011, Verdict: Worse},
		{Name: "RTD weight 10", Pairs: 3, Diff: 0.005, Low: -0.019, High: 0.029, HolmP: 0.493, Verdict: Undecided},
	}}.Figure()
	fmt.Println(f.Width, f.Height, err)
	fmt.Println(f.Alt)
	// Output:
	// 720 218 <nil>
	// Paired difference in RTD AUC to the baseline: no relative positions −0.256 [−0.339, −0.173], worse (3 pairs, p 0.011); RTD weight 10 +0.005 [−0.019, +0.029], undecided (3 pairs, p 0.493).
}

func ExampleBars() {
	f, err := Bars{Name: "probe", Title: "Probe", Label: "balanced accuracy", Groups: []string{"baseline", "no CLM"}, Series: []BarSeries{
		{Name: "fine-tuned", Values: []float64{0.61, 0.58}, Low: []float64{0.57, 0.55}, High: []float64{0.65, 0.61}},
		{Name: "majority class", Values: []float64{0.125, 0.125}},
	}}.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// probe <nil>
	// balanced accuracy: fine-tuned baseline 0.610; fine-tuned no CLM 0.580; majority class baseline 0.125; majority class no CLM 0.125.
}
