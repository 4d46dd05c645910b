// SPDX-License-Identifier: Apache-2.0

// Package testdata finds reference data that lives beside the project and is not part of it.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Shared returns the path of the named file or folder of the shared data: under $METROLAB_SHARED_DATA if that is set,
// else under ../shared/data beside the checkout. Where it is absent the test is skipped with a line that says so.
func Shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("METROLAB_SHARED_DATA")
	if root == "" {
		_, file, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("reference data %s is not here; set METROLAB_SHARED_DATA to the folder that holds it", name)
	}
	return path
}
