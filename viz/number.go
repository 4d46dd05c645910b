// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

const (
	minusSign = "\u2212"
	missing   = "\u2013" // stands where there is no number
)

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// decimals is the number of decimals that shows the largest of the values with three digits, 0 to 6.
func decimals(values ...float64) int {
	largest := 0.0
	for _, v := range values {
		if finite(v) {
			largest = max(largest, math.Abs(v))
		}
	}
	if largest == 0 {
		return 3
	}
	return max(0, min(6, 2-int(math.Floor(math.Log10(largest)))))
}

// fixed writes v with a real minus sign, or a dash where v is not a number.
func fixed(v float64, decimals int) string {
	if !finite(v) {
		return missing
	}
	return strings.Replace(unsignedZero(strconv.FormatFloat(v, 'f', decimals, 64)), "-", minusSign, 1)
}

// signed is fixed with a plus sign before what is above zero.
func signed(v float64, decimals int) string {
	s := fixed(v, decimals)
	if v > 0 && finite(v) && strings.Trim(s, "0.") != "" {
		return "+" + s
	}
	return s
}

func unsignedZero(s string) string {
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// probability writes a p value.
func probability(p float64) string {
	switch {
	case !finite(p):
		return missing
	case p < 0.001:
		return "< 0.001"
	default:
		return strconv.FormatFloat(p, 'f', 3, 64)
	}
}

// plural is "1 seed", "3 seeds".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// printable replaces what could move a cursor, break a line or reverse the text: control and format characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}
