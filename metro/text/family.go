// SPDX-License-Identifier: Apache-2.0

package text

import (
	"slices"
	"strings"
)

// Families names the eight families of the standard library's packages that a probe on the default corpus tells apart:
// the top-level folders with the most text. Left out are simd, whose comments are made from templates and give
// themselves away, and cmd and the vendored packages, which are no part of the library.
var Families = []string{"crypto", "encoding", "go", "math", "net", "os", "runtime", "syscall"}

// Family returns the family of the package with this import path, such as "crypto" for "crypto/internal/fips140". A
// package below internal belongs to the family it serves: "internal/runtime/maps" to "runtime". All others have none.
func Family(label string) (name string, ok bool) {
	name, _, _ = strings.Cut(strings.TrimPrefix(label, "internal/"), "/")
	return name, slices.Contains(Families, name)
}
