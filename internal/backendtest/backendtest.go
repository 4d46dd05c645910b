// SPDX-License-Identifier: Apache-2.0

// Package backendtest runs a test on every backend of this machine.
//
// Pure Go is always there. XLA CPU is there where scripts/setup was run; elsewhere its half of a test is skipped with a line
// that says so, or fails if METROLAB_REQUIRE_XLA=1, which is how a full test run makes sure that nothing was skipped. An
// NVIDIA GPU takes part if METROLAB_REQUIRE_CUDA=1, and is asked for in vain then if there is none. With METROLAB_COMPILE_FOR=h100
// each graph is compiled for that GPU, which need not be there, and runs on the processor; see [backend.OpenAhead].
package backendtest

import (
	"os"
	"sync"
	"testing"

	"github.com/gomlx/compute"

	"metrolab/metro/backend"
)

// Backends are opened once a process: opening XLA takes memory and a quarter of a second.
var (
	openGo    = sync.OnceValues(func() (compute.Backend, error) { return backend.Open("go") })
	openXLA   = sync.OnceValues(func() (compute.Backend, error) { return backend.Open("xla:cpu") })
	openAhead = sync.OnceValues(func() (*backend.Ahead, error) {
		return backend.OpenAhead(os.Getenv("METROLAB_COMPILE_FOR"), backend.Needs{}, true)
	})
	openCUDA = sync.OnceValues(func() (compute.Backend, error) { return backend.Open("xla:cuda") })
)

// ForEach runs test as the subtests "go" and "xla" and, where they are asked for, "cuda" and "ahead". The backends are shared by all
// tests of the process: test must not finalize them.
func ForEach(t *testing.T, test func(t *testing.T, be compute.Backend)) {
	t.Helper()
	t.Run("go", func(t *testing.T) { test(t, Go(t)) })
	t.Run("xla", func(t *testing.T) { test(t, XLA(t)) })
	if os.Getenv("METROLAB_REQUIRE_CUDA") == "1" {
		t.Run("cuda", func(t *testing.T) {
			be, err := openCUDA()
			if err != nil {
				t.Fatalf("METROLAB_REQUIRE_CUDA=1 and CUDA does not open: %v", err)
			}
			test(t, be)
		})
	}
	if target := os.Getenv("METROLAB_COMPILE_FOR"); target != "" {
		t.Run("ahead", func(t *testing.T) { ahead(t, target, test) })
	}
}

// ahead runs test on the processor, and fails if a graph of it does not compile for target.
func ahead(t *testing.T, target string, test func(t *testing.T, be compute.Backend)) {
	a, err := openAhead()
	if err != nil {
		t.Fatalf("METROLAB_COMPILE_FOR=%s and its compiler does not open: %v", target, err)
	}
	test(t, a.Backend)
	list, err := a.Compiled()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d graphs compiled for %s", len(list), target)
}

// Go returns the process's pure-Go backend.
func Go(t testing.TB) compute.Backend {
	t.Helper()
	be, err := openGo()
	if err != nil {
		t.Fatal(err)
	}
	return be
}

// XLA returns the process's XLA CPU backend. Where there is none the test is skipped, or fails if METROLAB_REQUIRE_XLA=1.
func XLA(t testing.TB) compute.Backend {
	t.Helper()
	be, err := openXLA()
	if err == nil {
		return be
	}
	if os.Getenv("METROLAB_REQUIRE_XLA") == "1" {
		t.Fatalf("METROLAB_REQUIRE_XLA=1 and XLA does not open: %v", err)
	}
	t.Skipf("no XLA here: %v", err)
	return nil
}
