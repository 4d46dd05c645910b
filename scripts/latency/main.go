// SPDX-License-Identifier: Apache-2.0

// Command latency measures how long a notebook's user waits: it builds and runs cells as the kernel does, of one checkout or
// of two side by side, and prints the medians.
//
//	go run ./scripts/latency [-rounds 20] CHECKOUT [OTHER]
//
// With two, rounds alternate, and the last column is the second's time as a part of the first's. Runs lie in a folder that is
// thrown away; the cache is the user's own.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// head begins every cell that trains: a tiny model, and few steps of it.
const head = `package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"metrolab/metro/recipes"
	"metrolab/notebooks/lab"
)

var _, _, _ = fmt.Print, filepath.Join, time.Now

func main() {
	l := lab.Open()
	config := recipes.Tiny()
	config.Optimizer.WarmupSteps, config.Training.Steps, config.Training.EvalEvery, config.Evaluation.Rows = 2, 40, 20, 64
	runs := os.Getenv("METROLAB_RUNS")
`

// A cell is a program, and what is timed of it.
type cell struct {
	name string
	text string
	says bool // its last line is the time, in seconds; otherwise it is built and run against the clock
	same bool // it is run again as it is; otherwise its text changes each time
}

var cells = []cell{
	{name: "a trivial cell", text: "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"},
	{name: "import lab, Open", text: "package main\n\nimport \"metrolab/notebooks/lab\"\n\nfunc main() { lab.Open() }\n"},
	{name: "Train, trained before, with its picture", text: head + "\t_ = runs\n\tl.Train(\"cached\", config)\n}\n"},
	{name: "the same, unchanged", text: head + "\t_ = runs\n\tl.Train(\"cached\", config)\n}\n", same: true},
	{name: "call of Train to the first step, graph compiled before", says: true, text: head + `	config.Seed, config.Training.LogEvery = time.Now().UnixNano()%1_000_000_000, 1
	called, first := time.Now(), make(chan time.Duration, 1)
	go func() {
		for {
			found, _ := filepath.Glob(filepath.Join(runs, fmt.Sprintf("seed%d-*", config.Seed), "metrics.jsonl"))
			for _, path := range found {
				if info, err := os.Stat(path); err == nil && info.Size() > 0 {
					first <- time.Since(called)
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	l.Train(fmt.Sprintf("seed%d", config.Seed), config)
	fmt.Println((<-first).Seconds())
}
`},
}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 20, "times that each cell is built and run")
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		log.Fatal("usage: latency [-rounds N] CHECKOUT [OTHER]")
	}
	dir, err := os.MkdirTemp("", "latency-")
	check(err)
	defer os.RemoveAll(dir)
	times := map[string][]float64{}
	fmt.Printf("load before: %s", load())
	for round := -1; round < *rounds; round++ { // the first warms up
		for c := range cells {
			for i, root := range flag.Args() {
				took := run(filepath.Join(dir, fmt.Sprint(i)), root, c, round)
				if key := fmt.Sprint(c, " ", i); round >= 0 {
					times[key] = append(times[key], took)
				}
			}
		}
	}
	fmt.Printf("load after:  %s", load())
	for c := range cells {
		report(c, times)
	}
}

// report prints the median of a cell for each checkout with the quartiles, and the ratio of the medians.
func report(c int, times map[string][]float64) {
	fmt.Printf("%-56s", cells[c].name)
	var medians []float64
	for i := range flag.Args() {
		t := slices.Sorted(slices.Values(times[fmt.Sprint(c, " ", i)]))
		medians = append(medians, t[len(t)/2])
		fmt.Printf("  %6.2f s (%.2f–%.2f)", t[len(t)/2], t[len(t)/4], t[3*len(t)/4])
	}
	if len(medians) > 1 {
		fmt.Printf("  %.2f", medians[1]/medians[0])
	}
	fmt.Println()
}

// run builds and runs a cell in a folder as the kernel of the checkout would, and returns the time in seconds.
func run(dir, root string, c, round int) float64 {
	root, err := filepath.Abs(root)
	check(err)
	dir = filepath.Join(dir, fmt.Sprint(c))
	check(os.MkdirAll(dir, 0o700))
	write(dir, "go.mod", "module cell\n\ngo 1.26.5\n")
	write(dir, "go.work", fmt.Sprintf("go 1.26.5\n\nuse (\n\t.\n\t%s\n)\n", root))
	text := cells[c].text
	if !cells[c].same {
		text += fmt.Sprintf("\n// %d\n", round)
	}
	write(dir, "main.go", text)
	environment := kernel(root, filepath.Join(filepath.Dir(dir), "runs"))
	started := time.Now()
	command(dir, environment, lookup(environment, "go"), "build", "-o", "cell", ".")
	out := command(filepath.Dir(dir), environment, filepath.Join(dir, "cell"))
	if !cells[c].says {
		return time.Since(started).Seconds()
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	seconds, err := strconv.ParseFloat(lines[len(lines)-1], 64)
	check(err)
	return seconds
}

// kernel is the environment that launch.sh of the checkout gives the kernel, as far as it matters here.
func kernel(root, runs string) []string {
	program, err := exec.LookPath("go")
	check(err)
	return append(os.Environ(), "METROLAB_ROOT="+root, "METROLAB_RUNS="+runs, "METROLAB_GO_PROGRAM="+program, "GOPROXY=off", "GOWORK=",
		"GOEXPERIMENT=simd", "PATH="+filepath.Join(root, "scripts", "kernels", "bin")+":"+os.Getenv("PATH"))
}

// lookup finds a program on the path of an environment.
func lookup(environment []string, name string) string {
	path := strings.TrimPrefix(environment[len(environment)-1], "PATH=")
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return name
}

func command(dir string, environment []string, name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, environment
	out, err := cmd.CombinedOutput()
	if err != nil {
		log.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func write(dir, name, text string) {
	check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg") // where there is none, nothing is said
	return strings.TrimSuffix(string(text), "\n") + "\n"
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
