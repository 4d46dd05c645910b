// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"metrolab/internal/machine"
)

// Provenance says how a run was made: everything that may help to explain a difference and is not part of the run's
// identity. What cannot be found out is empty.
type Provenance struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Command  []string  `json:"command"`

	Source  Source            `json:"source"`
	Module  string            `json:"module"`  // of the program that runs
	Modules map[string]string `json:"modules"` // path → version of all that is linked in
	Go      string            `json:"go"`
	// Experiments is GOEXPERIMENT, such as "simd"; Tags are the build tags.
	Experiments string `json:"experiments,omitempty"`
	Tags        string `json:"tags,omitempty"`

	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Host         string `json:"host"`
	CPU          string `json:"cpu,omitempty"`
	// Features are those of the processor that decide which kernels run, in the order of their names.
	Features    []string `json:"cpu_features,omitempty"`
	Cores       int      `json:"cores"`
	Threads     int      `json:"threads"`                // GOMAXPROCS
	MemoryBytes int64    `json:"memory_bytes,omitempty"` // of the machine
	// Accelerators are the models of the GPUs, whether or not the run uses them.
	Accelerators []string `json:"accelerators,omitempty"`

	Backend Backend `json:"backend"`
	// Environment holds the variables that change what compilers and backends do: XLA_*, GOMLX_*, PJRT_*, TF_XLA_FLAGS,
	// NVIDIA_TF32_OVERRIDE, CUBLAS_WORKSPACE_CONFIG, GOMAXPROCS, GOGC, GOMEMLIMIT, GODEBUG.
	Environment map[string]string `json:"environment,omitempty"`
}

// Source is the commit that the program was built from, or that its working directory is at.
type Source struct {
	Commit string `json:"commit,omitempty"`
	Dirty  bool   `json:"dirty"`          // there were changes beside the commit
	From   string `json:"from,omitempty"` // "build" or "working directory"
}

// Backend describes what computed the run, in the backend's own words.
type Backend struct {
	Name     string `json:"name"`     // "xla", "go"
	Platform string `json:"platform"` // "cpu", "cuda"
	Plugin   string `json:"plugin,omitempty"`
	Version  string `json:"version,omitempty"`
	Devices  int    `json:"devices,omitempty"` // that computed each step together
}

// CollectProvenance looks at the program and the machine. Finished is left for the caller to set.
func CollectProvenance(started time.Time, backend Backend) Provenance {
	model, features := machine.CPU()
	memory, _ := machine.Memory()
	p := Provenance{
		Started: started, Command: os.Args, Backend: backend,
		Go: runtime.Version(), OS: runtime.GOOS, Architecture: runtime.GOARCH,
		Accelerators: machine.Accelerators(),
		Host:         thisProcess().Host, CPU: model, Features: features, Cores: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0), MemoryBytes: int64(memory),
		Environment: backendEnvironment(os.Environ()),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.addBuild(info)
	}
	if p.Source.Commit == "" {
		p.Source = startedIn()
	}
	return p
}

func (p *Provenance) addBuild(info *debug.BuildInfo) {
	p.Module = info.Main.Path
	p.Modules = map[string]string{}
	for _, module := range info.Deps {
		version := module.Version
		if with := module.Replace; with != nil {
			version = strings.TrimSpace(version + " => " + with.Path + " " + with.Version)
		}
		p.Modules[module.Path] = version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "GOEXPERIMENT":
			p.Experiments = setting.Value
		case "-tags":
			p.Tags = setting.Value
		case "vcs.revision":
			p.Source.Commit, p.Source.From = setting.Value, "build"
		case "vcs.modified":
			p.Source.Dirty = setting.Value == "true"
		}
	}
}

func backendEnvironment(environ []string) map[string]string {
	found := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch prefix, _, _ := strings.Cut(name, "_"); {
		case prefix == "GOMLX", prefix == "PJRT", name == "GOMAXPROCS", name == "GOGC", name == "GOMEMLIMIT", movesNumbers(name):
			found[name] = value
		}
	}
	return found
}

// movesNumbers reports whether a variable may change what a compiler or a kernel computes. GODEBUG can take features of the
// processor away.
func movesNumbers(name string) bool {
	switch name {
	case "TF_XLA_FLAGS", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "GODEBUG":
		return true
	}
	return strings.HasPrefix(name, "XLA_")
}

// Numerics is what of a machine may give other numbers to the same run, by name: the plugin by its content, the processor's
// features, the GPUs, the architecture, the toolchain, and the variables that change what compilers do. It is no part of a run's
// identity, so that a run can move; whoever compares runs should say where it differs.
func (p Provenance) Numerics() map[string]string {
	made := map[string]string{
		"plugin": p.Backend.Version, "processor": strings.Join(p.Features, " "), "architecture": p.OS + "/" + p.Architecture,
		"go":           strings.TrimSpace(p.Go + " " + p.Experiments),
		"accelerators": strings.Join(p.Accelerators, ", "),
	}
	for name, value := range p.Environment {
		if movesNumbers(name) {
			made[name] = value
		}
	}
	for _, module := range []string{"github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"} {
		made[module] = p.Modules[module]
	}
	return made
}

// Attempts reads how each attempt at a run was made, oldest first, but for those that were like one before them in all that
// may change numbers (see [Provenance.Numerics]) and have given way. Attempts of runs from before that was kept, and those
// that ended before they began, have left nothing; for a run without any, its latest provenance is returned. What cannot be
// read comes back as an error beside all that can.
func (r *Run) Attempts() ([]Provenance, error) {
	numbers, err := r.attempts()
	problems := []error{err}
	var list []Provenance
	for _, n := range numbers {
		p, err := r.attempt(n)
		if err == nil {
			list = append(list, p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if len(list) == 0 {
		var p Provenance
		if err := readJSON(r.store.disk, r.Path(ProvenanceFile), &p); err == nil {
			list = append(list, p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return list, fmt.Errorf("read the attempts at %q: %w", r.ID, err)
	}
	return list, nil
}

// attempt reads how one attempt was made.
func (r *Run) attempt(number int) (p Provenance, err error) {
	return p, readJSON(r.store.disk, filepath.Join(r.attemptDir(number), ProvenanceFile), &p)
}

// Changes says in which of the things that may change numbers a machine is unlike that of an attempt before it, a phrase
// each: "XLA_FLAGS was unset and is --xla_cpu_max_isa=AVX2". See [Provenance.Numerics].
func (p Provenance) Changes(before Provenance) (phrases []string) {
	was, is := before.Numerics(), p.Numerics()
	names := maps.Clone(was)
	maps.Copy(names, is)
	or := func(value string) string { return cmp.Or(value, "unset") }
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] {
			phrases = append(phrases, fmt.Sprintf("%s was %s and is %s", name, or(was[name]), or(is[name])))
		}
	}
	return phrases
}
