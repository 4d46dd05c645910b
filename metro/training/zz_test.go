package training_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/training"
)

func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func TestZZ(t *testing.T) {
	be := backendtest.XLA(t)
	for _, acc := range []int{1, 2} {
		c := micro(10)
		c.Training.Accumulate = acc
		p, err := training.NewProgram(be, metro.Model{Config: c, Vocab: 300})
		require.NoError(t, err)
		require.NoError(t, p.Start(c))
		b := randomBatch(c, 300)
		a := cpu()
		_, err = p.Step(b, 1)
		require.NoError(t, err)
		t.Log("step", cpu()-a)
		a = cpu()
		_, err = p.Validate(b)
		require.NoError(t, err)
		t.Log("validate", cpu()-a)
		a = cpu()
		_, err = p.Detect(b.Tokens)
		require.NoError(t, err)
		t.Log("detect", cpu()-a)
	}
}
