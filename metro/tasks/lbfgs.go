// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// minimize moves x to the minimum of a smooth convex function by L-BFGS (Nocedal, 1980) with memory of five steps and
// backtracking to Armijo's condition. It ends where no partial derivative is beyond tolerance, after most steps, or where
// rounding allows no descent. f returns the value and writes the gradient. (gonum/optimize would do, and brings
// golang.org/x/tools into every program.)
func minimize(x []float64, f func(x, gradient []float64) float64, tolerance float64, most int) {
	const memory = 5
	type pair struct {
		s, y []float64 // the step, and how the gradient changed
		rho  float64   // 1/(s·y)
	}
	var pairs []pair
	gradient, next, nextGradient := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	direction, alpha := make([]float64, len(x)), make([]float64, memory)
	value := f(x, gradient)
	for range most {
		if floats.Norm(gradient, math.Inf(1)) <= tolerance {
			return
		}
		copy(direction, gradient)
		for i := len(pairs) - 1; i >= 0; i-- {
			p := pairs[i]
			alpha[i] = p.rho * floats.Dot(p.s, direction)
			floats.AddScaled(direction, -alpha[i], p.y)
		}
		if n := len(pairs); n > 0 {
			p := pairs[n-1]
			floats.Scale(1/(p.rho*floats.Dot(p.y, p.y)), direction)
		} else {
			floats.Scale(1/max(1, floats.Norm(gradient, 2)), direction)
		}
		for i, p := range pairs {
			floats.AddScaled(direction, alpha[i]-p.rho*floats.Dot(p.y, direction), p.s)
		}
		slope, step, nextValue := -floats.Dot(gradient, direction), 1.0, 0.0
		for {
			floats.AddScaledTo(next, x, -step, direction)
			if nextValue = f(next, nextGradient); nextValue <= value+1e-4*step*slope {
				break
			}
			if step /= 2; step < 1e-10 {
				return
			}
		}
		var p pair
		if len(pairs) == memory {
			p = pairs[0] // its slices are used again
			pairs = append(pairs[:0], pairs[1:]...)
		} else {
			p = pair{s: make([]float64, len(x)), y: make([]float64, len(x))}
		}
		floats.SubTo(p.s, next, x)
		floats.SubTo(p.y, nextGradient, gradient)
		if curvature := floats.Dot(p.s, p.y); curvature > 0 {
			p.rho = 1 / curvature
			pairs = append(pairs, p)
		}
		copy(x, next)
		copy(gradient, nextGradient)
		value = nextValue
	}
}
