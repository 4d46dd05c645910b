// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two studies are two jobs, however much of their names Kubernetes takes.
func TestQueueIDs(t *testing.T) {
	id := func(name string) string { return Queue{Study: Study{Name: name}}.ID() }
	require.Equal(t, "metro-quickstart", id("quickstart"))
	require.Equal(t, "metro-aa-micro", id("aa-micro"))
	long := strings.Repeat("x", 50)
	seen := map[string]string{}
	for _, name := range []string{"quickstart", "Quickstart", "a b", "a-b", "a_b", "größe", "grüße", "研究", "实验", "+bias", "bias-", "bias", long + "1", long + "2"} {
		got := id(name)
		require.Regexp(t, regexp.MustCompile(`^[a-z]([a-z0-9-]{0,48}[a-z0-9])$`), got, name)
		require.NotContains(t, seen, got, "%s and %s", name, seen[got])
		seen[got] = name
	}
}
