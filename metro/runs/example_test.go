// SPDX-License-Identifier: Apache-2.0

package runs_test

import (
	"fmt"
	"os"
	"path/filepath"

	"metrolab/metro/runs"
)

// A run is made, interrupted after a checkpoint, and resumed from it.
func Example() {
	root, err := os.MkdirTemp("", "runs")
	check(err)
	defer os.RemoveAll(root)
	store := runs.Store{Root: root}
	config := map[string]any{"recipe": "tiny", "seed": 1, "training": map[string]int{"steps": 4}}
	id, err := runs.ID("tiny", config)
	check(err)
	fmt.Println(id)

	for attempt := range 2 {
		run, err := store.Create(id, config)
		check(err)
		lease, err := run.Acquire()
		check(err)
		checkpoints := lease.Checkpoints(2)
		last, found, err := checkpoints.Latest(nil)
		check(err)
		if !found {
			last.Step = -1
		}
		log, err := lease.Metrics()
		check(err)
		check(log.TruncateAfter(last.Step))
		for step := last.Step + 1; step <= 4; step++ {
			check(log.Record(step, runs.Values{"loss": 1 / float64(1+step)}))
			if step == 2 {
				check(log.Sync())
				check(checkpoints.Save(step, func(dir string) error {
					return os.WriteFile(filepath.Join(dir, "weights"), []byte("…"), 0o644)
				}))
			}
			if step == 3 && attempt == 0 {
				break // something went wrong here
			}
		}
		fmt.Println("attempt", lease.Attempt(), "began after step", last.Step)
		check(log.Close())
		check(lease.Release())
	}

	run, err := store.Open(id)
	check(err)
	rows, err := runs.ReadMetrics(run.Path(runs.MetricsFile))
	check(err)
	for _, row := range rows {
		fmt.Printf("%d %.2f\n", row.Step, row.Values["loss"])
	}
	// Output:
	// tiny-7939230790
	// attempt 1 began after step -1
	// attempt 2 began after step 2
	// 0 1.00
	// 1 0.50
	// 2 0.33
	// 3 0.25
	// 4 0.20
}

func ExampleStore_Diff() {
	root, err := os.MkdirTemp("", "runs")
	check(err)
	defer os.RemoveAll(root)
	store := runs.Store{Root: root}
	_, err = store.Create("baseline", map[string]any{"rtd": map[string]int{"weight": 50}, "seed": 1})
	check(err)
	_, err = store.Create("lighter", map[string]any{"rtd": map[string]int{"weight": 10}, "seed": 1})
	check(err)
	found, err := store.Diff("baseline", "lighter")
	check(err)
	fmt.Println(found)
	// Output: [rtd.weight: 50 and 10]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
