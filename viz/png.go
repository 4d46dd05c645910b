// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"iter"
	"maps"
	"slices"
)

// encodePNG writes img with a palette where 256 colors can stand for all. A figure has a few flat colors and the many
// shades of their smoothed edges; so a third of the bytes remain and no difference shows.
func encodePNG(img image.Image) ([]byte, error) {
	bounds := img.Bounds()
	flat := image.NewRGBA(bounds)
	draw.Draw(flat, bounds, img, bounds.Min, draw.Src)
	count := map[color.RGBA]int{}
	for c, n := range stretches(flat.Pix) {
		count[c] += n
	}
	var best image.Image = flat
	if index, colors := paletteOf(count); colors != nil {
		small := image.NewPaletted(bounds, colors)
		at := 0
		for c, n := range stretches(flat.Pix) {
			for i := range n {
				small.Pix[at+i] = index[c]
			}
			at += n
		}
		best = small
	}
	var b bytes.Buffer
	err := png.Encode(&b, best)
	return b.Bytes(), err
}

// stretches yields the colors of a whole picture in rows, with the number of pixels that each lasts.
func stretches(pix []byte) iter.Seq2[color.RGBA, int] {
	return func(yield func(color.RGBA, int) bool) {
		for len(pix) > 0 {
			n := 4
			for n < len(pix) && bytes.Equal(pix[n:n+4], pix[:4]) {
				n += 4
			}
			if !yield(color.RGBA{R: pix[0], G: pix[1], B: pix[2], A: pix[3]}, n/4) {
				return
			}
			pix = pix[n:]
		}
	}
}

// paletteOf is a palette and each color's place in it. A color enters, the most frequent first, unless one that is in
// already is so near that it can stand for it. That is very near for the color of an area, and for the others, the
// shades of edges, as near as leaves room for all. If even coarse shades leave none, there is no palette.
func paletteOf(count map[color.RGBA]int) (map[color.RGBA]uint8, color.Palette) {
	byUse := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B), cmp.Compare(a.A, b.A))
	})
	const area, areaShade = 200, 3 // pixels; distance in levels of red, green and blue
	for _, shade := range []int{areaShade, 5, 7, 10, 14, 20, 28, 40} {
		index, picked := map[color.RGBA]uint8{}, color.Palette{}
		for _, c := range byUse {
			near := shade
			if count[c] >= area {
				near = areaShade
			}
			at := slices.IndexFunc(picked, func(p color.Color) bool { return squaredDistance(c, p.(color.RGBA)) <= near*near })
			if at < 0 {
				at, picked = len(picked), append(picked, c)
			}
			if index[c] = uint8(at); len(picked) > 256 {
				break
			}
		}
		if len(picked) <= 256 {
			return index, picked
		}
	}
	return nil, nil
}

func squaredDistance(a, b color.RGBA) int {
	square := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return square(a.R, b.R) + square(a.G, b.G) + square(a.B, b.B) + square(a.A, b.A)
}
