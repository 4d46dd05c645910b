// SPDX-License-Identifier: Apache-2.0

package text

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFamily(t *testing.T) {
	for label, want := range map[string]string{
		"crypto":                         "crypto",
		"crypto/internal/fips140/sha256": "crypto",
		"encoding/json":                  "encoding",
		"go/types":                       "go",
		"internal/runtime/maps":          "runtime",
		"internal/syscall/unix":          "syscall",
		"os/exec":                        "os",
		"ostrich":                        "",
		"internal":                       "",
		"internal/poll":                  "",
		"internal/internal/os":           "",
		"cmd/go/internal/load":           "",
		"golang.org/x/net/http2":         "",
		"":                               "",
	} {
		family, ok := Family(label)
		require.Equal(t, want != "", ok, label)
		if ok {
			require.Equal(t, want, family, label)
		}
	}
	require.Len(t, Families, 8)
	require.True(t, slices.IsSorted(Families))
}
