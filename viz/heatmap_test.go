// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

// lightness is the relative luminance of a color (sRGB, IEC 61966-2-1), which is what is left of it in grey.
func lightness(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		if x := float64(v) / 255; x > 0.04045 {
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return float64(v) / 255 / 12.92
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func TestRampsReadInGrey(t *testing.T) {
	for name, r := range map[string]ramp{"amounts": amounts, "signs": signs, "suspicion": suspicion} {
		first, last := lightness(r[0]), lightness(r[len(r)-1])
		for i := 1; i <= shades; i++ {
			before, here := lightness(r.at(float64(i-1)/shades)), lightness(r.at(float64(i)/shades))
			require.Positive(t, (here-before)*(last-first), "%s turns back at %d of %d", name, i, shades)
		}
	}
	require.Greater(t, (lightness(suspicion[len(suspicion)-1])+0.05)/(lightness(ink)+0.05), 4.5, "text on the darkest tint, by WCAG 2 contrast")
	require.Equal(t, suspicion[0], suspicion.at(-1))
	require.Equal(t, suspicion[3], suspicion.at(2))
}

// pixelsOf returns the color of a finished figure at a place on its page.
func pixelsOf(t *testing.T, f Figure) func(vg.Point) color.NRGBA {
	img, err := png.Decode(bytes.NewReader(f.PNG))
	require.NoError(t, err)
	return func(at vg.Point) color.NRGBA {
		return color.NRGBAModel.Convert(img.At(int(at.X.Dots(dpi)), img.Bounds().Dy()-1-int(at.Y.Dots(dpi)))).(color.NRGBA)
	}
}

func requireNear(t *testing.T, want, got color.NRGBA) {
	t.Helper()
	near := squaredDistance(color.RGBA(want), color.RGBA(got))
	require.LessOrEqual(t, near, 25, "want %v, got %v", want, got)
}

func TestHeatmapCellsHaveTheirColors(t *testing.T) {
	h := demoSquares()
	f, err := h.Figure()
	require.NoError(t, err)
	d, pixel := newHeatmapDrawing(h), pixelsOf(t, f)
	for panel, p := range h.Panels {
		at := d.panel(panel)
		for _, cell := range [][2]int{{0, 0}, {0, 47}, {47, 0}, {47, 47}, {10, 20}} {
			middle := vg.Point{X: at.Min.X + d.cell.X*(vg.Length(cell[1])+0.5), Y: at.Max.Y - d.cell.Y*(vg.Length(cell[0])+0.5)}
			want := signs.at((p.Values[cell[0]][cell[1]] - d.low) / (d.high - d.low))
			requireNear(t, want, pixel(middle))
		}
	}
	require.Equal(t, -d.high, d.low, "zero is in the middle")
	requireNear(t, signs[3], signs.at(0.5))
}

func TestHeatmapPanelsKeepApart(t *testing.T) {
	for panels := 1; panels <= 12; panels++ {
		for _, shape := range [][2]int{{4, 32}, {64, 64}, {1, 1}, {200, 3}, {3, 200}} {
			h := Heatmap{Name: "h", RowLabel: "r", ColumnLabel: "c"}
			for range panels {
				h.Panels = append(h.Panels, Panel{Name: "p", Values: matrix(shape[0], shape[1], func(r, c int) float64 { return float64(r) })})
			}
			d := newHeatmapDrawing(h)
			for i := range panels {
				at := d.panel(i)
				require.GreaterOrEqual(t, at.Min.Y, margin, "%d panels of %v", panels, shape)
				require.LessOrEqual(t, at.Max.X, pageWidth-margin-40, "room for the color bar")
				require.Positive(t, d.cell.Y)
				require.Less(t, d.height, vg.Length(6000))
				for k := range i {
					other := d.panel(k)
					overlap := at.Min.X < other.Max.X && other.Min.X < at.Max.X && at.Min.Y < other.Max.Y && other.Min.Y < at.Max.Y
					require.False(t, overlap, "panels %d and %d of %d", k, i, panels)
				}
			}
		}
	}
}

func TestAmountsStartAtZeroUnlessItIsFar(t *testing.T) {
	of := func(values ...float64) Heatmap { return Heatmap{Panels: []Panel{{Values: [][]float64{values}}}} }
	for _, c := range []struct {
		h         Heatmap
		low, high float64
	}{
		{of(0.1, 0.9), 0, 0.9}, {of(0.8, 0.9), 0.8, 0.9}, {of(-1, 3), -1, 3}, {of(math.NaN(), 2), 2, 2 + 1e-9},
	} {
		_, low, high := c.h.colors()
		require.Equal(t, []float64{c.low, c.high}, []float64{low, high})
	}
	_, low, high := Heatmap{Signed: true, Panels: []Panel{{Values: [][]float64{{-1, 3}}}}}.colors()
	require.Equal(t, []float64{-3, 3}, []float64{low, high})
}

func TestRoundEvery(t *testing.T) {
	for least, want := range map[float64]int{0.2: 1, 1: 1, 1.2: 2, 2.1: 5, 6: 10, 11: 20, 21: 50} {
		require.Equal(t, want, roundEvery(least), "%g", least)
	}
}

func TestHeatmapRefusesWhatDoesNotFit(t *testing.T) {
	two := [][]float64{{1, 2}, {3, 4}}
	for want, h := range map[string]Heatmap{
		`viz: heat map "h": nothing to draw: 0 panels, the first of 0 rows and 0 columns`:                               {},
		`viz: heat map "h": 1 row names and 0 column names for 2 × 2 values`:                                            {Rows: []string{"a"}, Panels: []Panel{{Values: two}}},
		`viz: heat map "h": panel 2 of 2 ("b") has 1 rows where the first panel has 2`:                                  {Panels: []Panel{{Values: two}, {"b", two[:1]}}},
		`viz: heat map "h": panel 1 of 1 ("") has 1 values in row 2 and 2 in the first`:                                 {Panels: []Panel{{Values: [][]float64{{1, 2}, {3}}}}},
		`viz: heat map "h": panel 1 of 1 ("") is infinite in row 1, column 1; mark a missing value by NaN`:              {Panels: []Panel{{Values: [][]float64{{math.Inf(1)}}}}},
		`viz: heat map "h": nothing to draw: no finite value`:                                                           {Panels: []Panel{{Values: [][]float64{{math.NaN()}}}}},
		`viz: heat map "h": 1 × 1025 cells are more than can be seen; show at most 1024 × 1024, such as a shorter text`: {Panels: []Panel{{Values: [][]float64{make([]float64, 1025)}}}},
		`viz: figure name "" cannot be a file name; use letters, digits, '.', '_' and '-'`:                              {Caption: "no name"},
	} {
		if h.Caption == "" {
			h.Name = "h"
		}
		_, err := h.Figure()
		require.EqualError(t, err, want)
	}
}

func ExampleAttentionMap() {
	f, err := AttentionMap([]string{"a", "b"}, [][]float64{{0.9, 0.1}, {0.5, 0.5}}).Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// attention <nil>
	// attention weight, 2 rows by 2 columns: head 1 lowest 0.100 (row a, column b), highest 0.900 (row a, column a).
}

func ExampleBiasMap() {
	m := BiasMap([]string{"before", "here", "after"}, [][]float64{{0.5, 0, -0.1}, {-0.3, 0.2, 0.4}})
	m.Caption = "Head 1 looks back, head 2 ahead."
	f, err := m.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// bias_map <nil>
	// Head 1 looks back, head 2 ahead. bias added to the attention logit, 2 rows by 3 columns: lowest −0.300 (row head 2, column before), highest 0.500 (row head 1, column before).
}
