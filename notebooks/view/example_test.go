// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"log"
	"os"

	"metrolab/metro/runs"
	"metrolab/notebooks/view"
)

// A run that something has trained is found by the beginning of its name, and its curves are drawn from its folder.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("METROLAB_RUNS", dir)
	run, err := runs.Store{Root: dir}.Create("first-0123456789", map[string]int{"seed": 0})
	if err != nil {
		log.Fatal(err)
	}
	lines := "{\"step\":1,\"loss\":4}\n{\"step\":2,\"loss\":3.5}\n"
	if err := os.WriteFile(run.Path(runs.MetricsFile), []byte(lines), 0o600); err != nil {
		log.Fatal(err)
	}

	curves := view.Curves("loss", view.Open("first"))
	fmt.Println(curves.Series[0].Name, curves.Series[0].Runs[0].Y)
	// Output: first [4 3.5]
}
