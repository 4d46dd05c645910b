// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/internal/randstream"
	"metrolab/metro"
)

// peak measures how fast the machine multiplies square matrices at this moment: what the speed of a step is compared with.
type peak struct {
	exec     *Exec
	a, b     *tensors.Tensor
	side     int
	products int           // a call, each of the one before and b
	each     time.Duration // of a measurement, at least
}

// newPeak compiles products in the dtype in which configs multiply. On a processor matrices are large enough that a core is at its
// best, and small enough for a cache; on a GPU so large, and so many in a call, that what a launch takes is lost in them.
func newPeak(backend compute.Backend, onGPU bool, matMul string, each time.Duration) (*peak, error) {
	p := &peak{side: 1024, products: 1, each: each}
	if onGPU {
		p.side, p.products = 8192, 16
	}
	exec, err := NewExec(backend, func(a, b *Node) *Node {
		if matMul == metro.MatMulBFloat16 {
			a, b = ConvertDType(a, dtypes.BFloat16), ConvertDType(b, dtypes.BFloat16)
		}
		for range p.products - 1 {
			a = DivScalar(MatMul(a, b), float64(p.side)) // so that nothing overflows
		}
		a = ConvertDType(MatMul(a, b), dtypes.Float32)
		if p.products > 1 {
			return ReduceAllMax(a) // whoever reads it has waited for all of them
		}
		return a
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the matrix product: %w", err)
	}
	p.exec = exec
	p.a, p.b = p.matrix(1), p.matrix(2)
	if _, err := p.measure(); err != nil { // compiles
		p.close()
		return nil, err
	}
	return p, nil
}

// matrix is one of numbers between −1 and 1: zeros, and numbers with few digits, multiply faster on some chips.
func (p *peak) matrix(seed int64) *tensors.Tensor {
	rng := randstream.New(seed, "bench/peak")
	values := make([]float32, p.side*p.side)
	for i := range values {
		values[i] = 2*rng.Float32() - 1
	}
	return tensors.FromFlatDataAndDimensions(values, p.side, p.side)
}

// measure returns operations a second, a multiplication and an addition counting as two.
func (p *peak) measure() (float64, error) {
	started, calls := time.Now(), 0
	for time.Since(started) < p.each || calls == 0 {
		out, err := p.exec.Call1(p.a, p.b)
		if err != nil {
			return 0, fmt.Errorf("multiply matrices: %w", err)
		}
		if out.IsScalar() {
			out.Value()
		}
		out.MustFinalizeAll()
		calls++
	}
	operations := 2 * math.Pow(float64(p.side), 3)
	return float64(calls*p.products) * operations / time.Since(started).Seconds(), nil
}

func (p *peak) close() {
	p.exec.Finalize()
	p.a.MustFinalizeAll()
	p.b.MustFinalizeAll()
}
