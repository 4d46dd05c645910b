// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/metro"
)

// peak measures how fast the machine multiplies square matrices at this moment: what the speed of a step is compared with.
type peak struct {
	exec *Exec
	a, b *tensors.Tensor
	each time.Duration // of a measurement, at least
}

// peakSide is the side of the matrices: large enough that a core is at its best, small enough for a cache.
const peakSide = 1024

// newPeak compiles the product in the dtype in which configs multiply.
func newPeak(backend compute.Backend, matMul string, each time.Duration) (*peak, error) {
	exec, err := NewExec(backend, func(a, b *Node) *Node {
		if matMul == metro.MatMulBFloat16 {
			a, b = ConvertDType(a, dtypes.BFloat16), ConvertDType(b, dtypes.BFloat16)
		}
		return ConvertDType(MatMul(a, b), dtypes.Float32)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the matrix product: %w", err)
	}
	values := make([]float32, peakSide*peakSide)
	for i := range values {
		values[i] = float32(i%7) - 3
	}
	p := &peak{exec: exec, each: each}
	p.a, p.b = tensors.FromFlatDataAndDimensions(values, peakSide, peakSide), tensors.FromFlatDataAndDimensions(values, peakSide, peakSide)
	if _, err := p.measure(); err != nil { // compiles
		p.close()
		return nil, err
	}
	return p, nil
}

// measure returns operations a second, a multiplication and an addition counting as two.
func (p *peak) measure() (float64, error) {
	started, products := time.Now(), 0
	for time.Since(started) < p.each || products == 0 {
		out, err := p.exec.Call1(p.a, p.b)
		if err != nil {
			return 0, fmt.Errorf("multiply matrices: %w", err)
		}
		out.MustFinalizeAll()
		products++
	}
	const operations = 2 * peakSide * peakSide * peakSide
	return float64(products) * operations / time.Since(started).Seconds(), nil
}

func (p *peak) close() {
	p.exec.Finalize()
	p.a.MustFinalizeAll()
	p.b.MustFinalizeAll()
}
