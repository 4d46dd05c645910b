// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"metrolab/metro/workspace"
)

// A text of one's own, in pure Go. What comes back trains configs.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("METROLAB_CACHE", filepath.Join(dir, "cache"))
	text := filepath.Join(dir, "text.txt")
	paragraph := "The reader returns the number of bytes read, paragraph %d of them.\n\n"
	var all strings.Builder
	for i := range 200 {
		fmt.Fprintf(&all, paragraph, i)
	}
	if err := os.WriteFile(text, []byte(all.String()), 0o600); err != nil {
		log.Fatal(err)
	}

	runner, err := workspace.Open(context.Background(), workspace.Options{Backend: "go", Corpus: text, Runs: filepath.Join(dir, "runs")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(runner.BackendKind, runner.Corpus.Stats.Total().Documents)
	// Output: go 200
}
