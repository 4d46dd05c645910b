// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"image/color"
	"math"
)

// ramp is a color map by its colors at equal distances. Lightness changes in one direction along both ramps, so that
// they also read in grey and to every eye.
type ramp []color.NRGBA

var (
	// amounts goes from paper to dark blue.
	amounts = ramp{{0xFF, 0xFF, 0xFF, 0xFF}, {0xDC, 0xE9, 0xF5, 0xFF}, {0xA6, 0xCB, 0xE6, 0xFF}, {0x5F, 0xA3, 0xD0, 0xFF}, {0x1F, 0x6F, 0xB0, 0xFF},
		{0x08, 0x3C, 0x7A, 0xFF}, {0x05, 0x1C, 0x48, 0xFF}}
	// signs goes from dark blue over grey, which is zero, to light yellow.
	signs = ramp{{0x00, 0x10, 0x40, 0xFF}, {0x08, 0x36, 0x84, 0xFF}, {0x3A, 0x68, 0xA8, 0xFF}, {0x90, 0x90, 0x90, 0xFF}, {0xC8, 0xB0, 0x48, 0xFF},
		{0xEA, 0xCC, 0x2E, 0xFF}, {0xFF, 0xF4, 0x80, 0xFF}}
	// suspicion goes from paper to an orange that black letters can be read on.
	suspicion = ramp{{0xFF, 0xFF, 0xFF, 0xFF}, {0xFE, 0xE6, 0xCC, 0xFF}, {0xFB, 0xC0, 0x87, 0xFF}, {0xF0, 0x90, 0x3C, 0xFF}}
)

// shades is the number of colors that a ramp is drawn in: few enough for a PNG with a palette, and too many to be told
// apart.
const shades = 96

// at is the color at t, 0 to 1.
func (r ramp) at(t float64) color.NRGBA {
	t = math.Round(max(0, min(1, t))*shades) / shades
	i := min(int(t*float64(len(r)-1)), len(r)-2)
	part := t*float64(len(r)-1) - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + part*(float64(b)-float64(a)))) }
	a, b := r[i], r[i+1]
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xFF}
}
