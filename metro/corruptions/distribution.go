// SPDX-License-Identifier: Apache-2.0

package corruptions

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/gomlx/compute/dtypes/float16"

	"metrolab/internal/usererr"
)

// Distribution is what is kept of a generator's distribution p over the tokens at a slot: log p of the most likely ones, and how much
// is left. The rest is taken to be as the tokens' frequencies f are: p(i) = Tail·f(i)/F, F being the sum of f over the rest.
type Distribution struct {
	IDs  []int32   // sorted by likelihood
	LogP []float32 // of these, rounded to 16 bits
	Tail float32   // 1 − Σ p of these
}

const (
	tailSize = 4
	halfSize = 2
)

// Of keeps the top most likely tokens of logits, [V].
func Of(logits []float32, top int) Distribution {
	order := make([]int32, len(logits))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b))
	})
	most, sum := float64(logits[order[0]]), 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - most)
	}
	d := Distribution{IDs: order[:top:top]}
	tail := 0.0
	for _, id := range order[top:] {
		tail += math.Exp(float64(logits[id])-most) / sum
	}
	for _, id := range d.IDs {
		d.LogP = append(d.LogP, float16.FromFloat32(float32(float64(logits[id])-most-math.Log(sum))).Float32())
	}
	d.Tail = float32(tail)
	return d
}

// At returns the distribution at temperature T, proportional to p^(1/T), over the tokens of logFrequencies, [V], up to a constant.
func (d Distribution) At(temperature float64, logFrequencies []float32) []float64 {
	logs := make([]float64, len(logFrequencies))
	most := math.Inf(-1)
	for i, f := range logFrequencies {
		logs[i] = float64(f)
		most = max(most, logs[i])
	}
	for _, id := range d.IDs {
		logs[id] = math.Inf(-1)
	}
	rest := 0.0
	for _, l := range logs {
		rest += math.Exp(l - most)
	}
	shift := math.Log(float64(d.Tail)) - math.Log(rest) - most
	if rest == 0 {
		shift = math.Inf(-1)
	}
	for i := range logs {
		logs[i] += shift
	}
	for k, id := range d.IDs {
		logs[id] = float64(d.LogP[k])
	}
	return softmax(logs, temperature)
}

// softmax of logs/T.
func softmax(logs []float64, temperature float64) []float64 {
	most, sum := slices.Max(logs), 0.0
	p := make([]float64, len(logs))
	for i, l := range logs {
		p[i] = math.Exp((l - most) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// Draw returns the token of p, [V], with which its running sum exceeds u, in [0, 1).
func Draw(p []float64, u float64) int32 {
	sum, last := 0.0, int32(0)
	for i, x := range p {
		if x > 0 {
			last = int32(i)
			if sum += x; sum > u {
				return last
			}
		}
	}
	return last
}

// Loss is what is lost by leaving logits out: the mean of KL(p‖q) in nats, p being the whole distribution at a temperature and q
// [Distribution.At] it, by temperature.
type Loss map[string]float64

// Most is the greatest [Loss] at which samples are drawn.
const Most = 1e-3

// temperatures are those at which the loss is measured.
var temperatures = []float64{0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4}

// LossOf measures on slots whose whole logits are known.
func LossOf(logits [][]float32, kept []Distribution, logFrequencies []float32) Loss {
	loss := Loss{}
	for _, t := range temperatures {
		sum := 0.0
		for i, l := range logits {
			whole := make([]float64, len(l))
			for k, x := range l {
				whole[k] = float64(x)
			}
			p, q := softmax(whole, t), kept[i].At(t, logFrequencies)
			for k := range p {
				if p[k] > 0 {
					sum += p[k] * math.Log(p[k]/max(q[k], math.SmallestNonzeroFloat64))
				}
			}
		}
		loss[key(t)] = sum / float64(len(logits))
	}
	return loss
}

func key(t float64) string { return strconv.FormatFloat(t, 'g', -1, 64) }

// Allows is the user's error if samples at a temperature would not be the generator's: where the loss at the temperatures about it,
// that are measured, is above [Most].
func (l Loss) Allows(temperature float64) error {
	i, exact := slices.BinarySearch(temperatures, temperature)
	if !exact && (i == 0 || i == len(temperatures)) {
		return usererr.New("logits that were kept draw at temperatures from %g to %g, not at %g", temperatures[0], temperatures[len(temperatures)-1], temperature)
	}
	about := temperatures[i : i+1]
	if !exact {
		about = temperatures[i-1 : i+1]
	}
	for _, t := range about {
		lost, measured := l[key(t)]
		if !measured {
			return usererr.New("what is lost at temperature %g by the logits that were kept is not known; keep them anew", t)
		}
		if !(lost <= Most) {
			return usererr.New("at temperature %g the logits that were kept are %.2g nats from the generator's distribution, more than %g; keep more of them (--top)", t, lost, Most)
		}
	}
	return nil
}

// String lists the loss by temperature.
func (l Loss) String() string {
	text := ""
	for _, t := range slices.Sorted(maps.Keys(l)) {
		text += fmt.Sprintf(" T=%s: %.2g", t, l[t])
	}
	return text
}
