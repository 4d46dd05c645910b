// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// record is a step that XLA has compiled, and what its graphs take.
type record struct {
	Target string        `json:"target"` // xla-cpu, or one of backend.GPUs with its options
	Recipe string        `json:"recipe"`
	Set    []string      `json:"set,omitempty"`
	Fit    bool          `json:"fit"` // the coefficients are fitted to it; else it is what they are tested on
	Note   string        `json:"note,omitempty"`
	Plugin string        `json:"plugin,omitempty"`
	Commit string        `json:"commit,omitempty"`
	Graphs []graphMemory `json:"graphs,omitempty"` // none is yet to be compiled
}

type graphMemory struct {
	Graph  string               `json:"graph"`
	Memory backend.DeviceMemory `json:"memory"`
}

const recordsFile = "testdata/compiled.json"

func (r record) String() string {
	return strings.Join(append([]string{r.Target, r.Recipe}, r.Set...), " ")
}

func (r record) config() (metro.Config, error) {
	c, err := recipes.Get(r.Recipe)
	if err == nil {
		err = c.SetAll(r.Set...)
	}
	if err == nil {
		err = c.Validate()
	}
	return c, err
}

func readRecords(t *testing.T) (list []record) {
	t.Helper()
	text, err := os.ReadFile(recordsFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &list))
	return list
}

// writeRecords writes one a line.
func writeRecords(t *testing.T, list []record) {
	t.Helper()
	var b bytes.Buffer
	for i, r := range list {
		line, err := json.Marshal(r)
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s\n%s", map[bool]string{true: "[", false: ","}[i == 0], line)
	}
	b.WriteString("\n]\n")
	require.NoError(t, atomicfile.WriteFile(recordsFile, b.Bytes()))
}

// TestRecord compiles the records that have not been compiled yet: METROLAB_CALIBRATE=xla-cpu or =h100 says for what.
func TestRecord(t *testing.T) {
	target := os.Getenv("METROLAB_CALIBRATE")
	if target == "" {
		t.Skip("set METROLAB_CALIBRATE=xla-cpu or =h100 to compile what testdata/compiled.json lists for it without an outcome")
	}
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	require.NoError(t, err)
	list := readRecords(t)
	for i, r := range list {
		if r.Target != target || r.Graphs != nil {
			continue
		}
		require.NoError(t, list[i].compile(t), r)
		list[i].Commit = strings.TrimSpace(string(commit))
		writeRecords(t, list)
		t.Log(list[i], list[i].Graphs)
	}
}

// pluginOf leaves of "…/NAME, …, sha256 …" the name and the hash.
func pluginOf(text string) string {
	name, _, _ := strings.Cut(filepath.Base(text), ",")
	return name + text[strings.LastIndex(text, ","):]
}

// compile fills in what XLA makes of r.
func (r *record) compile(t *testing.T) error {
	c, err := r.config()
	if err != nil {
		return err
	}
	var engine compute.Backend
	var compiled []backend.DeviceMemory
	collect := func() error { return nil }
	if r.Target == "xla-cpu" {
		engine = backendtest.XLA(t)
		r.Plugin = pluginOf(backend.Describe(engine).Plugin + ", " + backend.Describe(engine).PluginVersion)
		var failed error
		backend.WatchMemory(func(m backend.DeviceMemory, err error) {
			compiled = append(compiled, m)
			failed = err
		})
		defer backend.WatchMemory(nil)
		collect = func() error { return failed }
	} else {
		ahead, err := backend.OpenAhead(r.Target, backend.Needs(training.NeedsOf(c)), false)
		if err != nil {
			return err
		}
		engine, r.Plugin = ahead.Backend, pluginOf(ahead.Plugin())
		collect = func() error {
			programs, err := ahead.Compiled()
			for _, p := range programs {
				compiled = append(compiled, p.Memory)
			}
			return err
		}
	}
	return training.CompileStep(engine, training.NewPretraining(metro.Model{Config: c, Vocab: c.Data.VocabSize}), func(name string, _ int) error {
		if err := collect(); err != nil {
			return err
		}
		for _, m := range compiled {
			r.Graphs = append(r.Graphs, graphMemory{name, m})
		}
		compiled = nil
		return nil
	})
}
