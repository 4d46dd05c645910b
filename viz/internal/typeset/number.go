// SPDX-License-Identifier: Apache-2.0

package typeset

import (
	"math"
	"strconv"
	"strings"
)

// What stands in a text for a minus sign, and where there is no number.
const (
	Minus   = "\u2212"
	Missing = "\u2013"
)

// Finite reports whether v is neither NaN nor infinite.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Decimals is the number of decimals that shows the largest of the values with three digits, 0 to 6.
func Decimals(values ...float64) int {
	largest := 0.0
	for _, v := range values {
		if Finite(v) {
			largest = max(largest, math.Abs(v))
		}
	}
	if largest == 0 {
		return 3
	}
	return max(0, min(6, 2-int(math.Floor(math.Log10(largest)))))
}

// Fixed writes v with a real minus sign, or a dash where v is not a number.
func Fixed(v float64, decimals int) string {
	if !Finite(v) {
		return Missing
	}
	return strings.Replace(UnsignedZero(strconv.FormatFloat(v, 'f', decimals, 64)), "-", Minus, 1)
}

// Signed is [Fixed] with a plus sign before what is above zero.
func Signed(v float64, decimals int) string {
	s := Fixed(v, decimals)
	if v > 0 && Finite(v) && strings.Trim(s, "0.") != "" {
		return "+" + s
	}
	return s
}

// UnsignedZero drops the minus sign of a number that is written as zero.
func UnsignedZero(s string) string {
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// Probability writes a p value.
func Probability(p float64) string {
	switch {
	case !Finite(p):
		return Missing
	case p < 0.001:
		return "< 0.001"
	default:
		return strconv.FormatFloat(p, 'f', 3, 64)
	}
}
