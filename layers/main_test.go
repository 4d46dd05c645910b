// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain asks XLA for little optimization, unless the environment asks for something else: the models here take no time to run,
// and compiling them with all of it would take most of the whole.
func TestMain(m *testing.M) {
	if os.Getenv("XLA_FLAGS") == "" {
		if err := os.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
