// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/corruptions"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Runner trains configs on one backend. Runs share what they can: corpora, data, held-out sets, and one compiled [Program] a
// graph key and worker. It may be used from several goroutines.
type Runner struct {
	Backend     compute.Backend
	Fit         EngineFit    // opens the engines of runs for which Backend does not do; nil: it does for all
	BackendKind string       // see [RunIdentity]
	SIMD        bool         // see [RunIdentity]; of pure Go alone
	Devices     int          // of the engine that share the rows of each step; 0 is 1. See [Program.Divide]
	Provenance  runs.Backend // written beside each result
	Corpus      *text.Corpus // of configs whose data.corpus is empty
	CacheDir    string
	Store       runs.Store

	corpora     cache[*text.Corpus]
	datasets    cache[*data.Dataset]
	frozenTexts cache[*data.FrozenText]
	heldOuts    cache[*HeldOut]
	corruptions cache[*corruptions.Reader]

	mu   sync.Mutex
	idle []*Program // at most mostIdle, the last used at the end
	turn sync.Mutex // of the programs on Backend, where several devices share their rows

	keeper *Runner // whose data, held-out sets and programs these are; nil for its own
}

// Anew returns a runner without a text that looks at every text again, which may have changed, and shares with r what
// follows from a text's content: data, held-out sets and compiled programs. It is for a process that trains for long. What
// both opened is closed by r.
func (r *Runner) Anew() *Runner {
	return &Runner{
		Backend: r.Backend, Fit: r.Fit, BackendKind: r.BackendKind, SIMD: r.SIMD, Devices: r.Devices, Provenance: r.Provenance, CacheDir: r.CacheDir, Store: r.Store,
		keeper: r.kept(),
	}
}

// kept is the runner that keeps what r makes.
func (r *Runner) kept() *Runner { return cmp.Or(r.keeper, r) }

// Result is what a finished run leaves in result.json.
type Result struct {
	Steps   int         `json:"steps"`
	Metrics runs.Values `json:"metrics"` // the last evaluation
	Seconds float64     `json:"seconds"` // wall time of all attempts
	Usage
	Diverged string          `json:"diverged,omitempty"` // why it ended early, if it did
	Details  json.RawMessage `json:"details,omitempty"`  // see [Workload.Details]
	Log      runs.Mark       `json:"log,omitzero"`       // what the log holds at the end

	// Of Seconds and ProcessorSeconds, those of the steps that a fork shares with the run that it goes on with.
	Before          float64 `json:"before,omitempty"`
	ProcessorBefore float64 `json:"processor_before,omitempty"`

	Run *runs.Run `json:"-"`
}

// Usage is what a run has taken of the machine, over all attempts; 0 where that is not known.
type Usage struct {
	ProcessorSeconds float64 `json:"processor_seconds,omitempty"` // of all cores; where runs are trained side by side in a process, an equal share
	Memory           uint64  `json:"memory,omitempty"`            // most bytes that its process held at once
}

// Run pretrains config, or goes on with it, or returns the result of the run that is finished already. The run's directory is
// named after name and the hash of its [RunIdentity], which says how far equal names promise equal numbers. If ctx ends, the
// state is saved and the error wraps [ErrInterrupted]. A run that diverges has a result that says so and no error: repeating
// it would change nothing.
func (r *Runner) Run(ctx context.Context, name string, config metro.Config, report func(Progress)) (Result, error) {
	job, err := r.Open(ctx, name, config)
	if err != nil {
		return Result{}, err
	}
	return job.Train(ctx, report)
}

// Open returns the run of config, whose directory is made if there is none, without training it. What the config begins
// with, text, tokenizer and weights, is looked at once, here.
func (r *Runner) Open(ctx context.Context, name string, config metro.Config) (*Job, error) {
	identity, workload, err := r.pretraining(ctx, config)
	if err != nil {
		return nil, err
	}
	return r.Assign(name, identity, workload)
}

// Resume returns the run in the directory dir, to be gone on with from its own config.json. It is the user's error if this
// program would go on with other numbers than those that the run was begun with: another version of the numerics, another
// kind of backend, other text or other weights under the same paths.
func (r *Runner) Resume(ctx context.Context, dir string) (*Job, error) {
	stored, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	if stored.NumericsVersion != NumericsVersion {
		return nil, usererr.New("%s was begun under version %d of the numerics, and this program computes by version %d: its rest would not fit its beginning; train it anew, or finish it with the program that began it",
			dir, stored.NumericsVersion, NumericsVersion)
	}
	if was, is := devicesOf(stored.Backend), devicesOf(r.BackendKind); was != is {
		return nil, usererr.New("%s was begun on devices=%d, and this is devices=%d, which adds in another order; give --devices %d, or go on as a run of its own, with --set training.fork=%s@STEP --devices %d",
			dir, was, is, was, dir, is)
	}
	if stored.Config.Task.Name != "" {
		return nil, usererr.New("%s is a run of the task %q; the command that began it goes on with it", dir, stored.Config.Task.Name)
	}
	if err := stored.Verify(dir); err != nil {
		return nil, err
	}
	stored.Config.Training.Fork = besideRun(dir, stored.Config.Training.Fork)
	identity, workload, err := r.pretraining(ctx, stored.Config)
	if err != nil {
		return nil, err
	}
	run, err := r.Store.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	if err := run.Compare(identity); err != nil {
		return nil, err
	}
	return &Job{Run: run, runner: r, identity: identity, workload: workload}, nil
}

// pretraining is the identity of a config's run, and what makes its workload.
func (r *Runner) pretraining(ctx context.Context, config metro.Config) (RunIdentity, func() (Workload, error), error) {
	if err := config.Validate(); err != nil {
		return RunIdentity{}, nil, err
	}
	if config.Task.Name != "" {
		return RunIdentity{}, nil, usererr.New("task.name is %q: this run is a task's, not pretraining; train it with package tasks", config.Task.Name)
	}
	if err := r.fits(config); err != nil {
		return RunIdentity{}, nil, err
	}
	var trunk *Trunk
	if config.Training.Fork != "" {
		var err error
		if trunk, err = FindTrunk(r.Store, config.Training.Fork); err != nil {
			return RunIdentity{}, nil, err
		}
		if err = trunk.allows(config); err != nil {
			return RunIdentity{}, nil, err
		}
	}
	o, err := loadOrigins(config)
	if err != nil {
		return RunIdentity{}, nil, err
	}
	o.trunk = trunk
	dataset, err := r.dataset(ctx, config.Data, o.tokenizer(), nil)
	if err != nil {
		return RunIdentity{}, nil, err
	}
	if err := withinBudget(dataset, config.Training.WordBudget); err != nil {
		return RunIdentity{}, nil, err
	}
	if err := reachesMilestone(config, dataset, trunk); err != nil {
		return RunIdentity{}, nil, err
	}
	identity := r.Identity(config)
	identity.Corpus, identity.Tokenizer = dataset.Corpus.Hash, dataset.Tokenizer.Hash()
	for _, m := range dataset.Mixed {
		identity.Mixture = append(identity.Mixture, MixedText{Corpus: m.Corpus.Hash, Share: m.Share})
	}
	if identity.Weights, err = o.hashes(); err != nil {
		return RunIdentity{}, nil, err
	}
	if o.stored != nil {
		if err := o.stored.fits(identity); err != nil {
			return RunIdentity{}, nil, err
		}
	}
	if trunk != nil {
		if err := trunk.fits(identity); err != nil {
			return RunIdentity{}, nil, err
		}
	}
	return identity, func() (Workload, error) { return r.newPretraining(config, dataset, o) }, nil
}

// Identify is the identity of the run that [Runner.Open] would make of config.
func (r *Runner) Identify(ctx context.Context, config metro.Config) (RunIdentity, error) {
	identity, _, err := r.pretraining(ctx, config)
	return identity, err
}

// Identity is a run's identity as far as it follows from the config and the engine: without text, tokenizer and weights.
func (r *Runner) Identity(config metro.Config) RunIdentity {
	return RunIdentity{
		Schema: metro.Schema, Config: config, Backend: r.BackendKind, SIMD: r.SIMD && r.BackendKind == "go", DType: "float32",
		NumericsVersion: NumericsVersion, Components: config.Components(),
	}
}

// Assign returns the run of an identity, whose directory is made if there is none. The workload is made when the run is
// trained. A run of the same identity from before [metro.Schema], under its old name, is found.
func (r *Runner) Assign(name string, identity RunIdentity, workload func() (Workload, error)) (*Job, error) {
	switch matMul := identity.Config.Training.MatMul; {
	case matMul == metro.MatMulBFloat16 && strings.HasPrefix(r.BackendKind, "go"):
		return nil, usererr.New("training.matmul=%s needs XLA; the pure-Go backend multiplies in float32 only", matMul)
	case matMul == metro.MatMulTF32 && !strings.HasPrefix(r.BackendKind, "xla-cuda"):
		return nil, usererr.New("training.matmul=%s needs an NVIDIA GPU; the backend here, %s, has no such products", matMul, r.BackendKind)
	}
	if err := r.fits(identity.Config); err != nil {
		return nil, err
	}
	id, err := r.RunID(name, identity)
	if err != nil {
		return nil, err
	}
	if identity.KeyHash, err = runs.Hash(identity.Key()); err != nil {
		return nil, err
	}
	identity.Name = name
	run, err := r.Store.Create(id, identity)
	return &Job{Run: run, runner: r, identity: identity, workload: workload}, err
}

// RunID is what [Runner.Assign] calls the run of an identity: its name from before [metro.Schema] if there is such a run.
func (r *Runner) RunID(name string, identity RunIdentity) (string, error) {
	if first, err := identity.firstID(name); err != nil {
		return "", err
	} else if _, err := r.Store.Open(first); first != "" && err == nil {
		return first, nil
	}
	return runs.ID(name, identity.Key())
}

// newPretraining gathers what pretraining works on.
func (r *Runner) newPretraining(config metro.Config, d *data.Dataset, o origins) (*Pretraining, error) {
	w := &Pretraining{origins: o, dataset: d, loader: loader(config, d, d.Train), options: config.InputOptions()}
	var err error
	if w.heldOut, err = r.heldOut(d, config); err != nil {
		return nil, err
	}
	w.model = metro.Model{Config: config, Vocab: max(d.Vocab, o.vocab()), PadID: d.PadID, SepID: d.Tokenizer.Special().SEP, LogUniform: d.LogUniform(),
		Spelling: tokens.SpellingOf(config, d.Tokenizer)}
	if w.model.LogUnigram, err = d.LogUnigram(); err != nil {
		return nil, err
	}
	if o.stored != nil {
		if w.stored, err = r.openStored(o.stored); err != nil {
			return nil, err
		}
	}
	for m := &w.model; len(m.LogUniform) < m.Vocab; { // rows of a table that no token has
		m.LogUniform, m.LogUnigram = append(m.LogUniform, neverDrawn), append(m.LogUnigram, neverDrawn)
	}
	return w, nil
}

// neverDrawn is the log-probability of a token that must not come up.
const neverDrawn = -1e9

// mostIdle is how many programs that no run uses are kept: more than a study has arms of unlike graphs. A program holds the
// variables of its model, so that a session which tries one shape after another must not keep all.
const mostIdle = 32

// widestSmall is the greatest width of a small model. The rule is part of [NumericsVersion]: threads decide how sums are cut.
const widestSmall = 64

// EngineNeeds are what a run asks of the engine that it computes on, beyond its kind.
type EngineNeeds struct {
	Small         bool // one thread does; see [Runner.IsSmall]
	TF32          bool // training.matmul=tf32
	Deterministic bool // training.deterministic
}

// EngineFit returns what opens an engine that meets the needs, or nil if the [Runner.Backend] does. That of package backend is
// backend.Fit.
type EngineFit func(EngineNeeds) (open func() (compute.Backend, error))

// IsSmall reports whether the runs of a config take an engine of their own, of one thread: where dividing a product costs more than
// it saves, several runs side by side are the better use of a machine's cores.
func (r *Runner) IsSmall(c metro.Config) bool {
	return c.Main.Width <= widestSmall && r.Fit != nil && r.Fit(EngineNeeds{Small: true}) != nil
}

// Engine is what a run of a config computes on, and closes with what gives it back.
func (r *Runner) Engine(c metro.Config) (engine compute.Backend, closes func(), err error) {
	var open func() (compute.Backend, error)
	if r.Fit != nil {
		open = r.Fit(NeedsOf(c))
	}
	if open == nil {
		return r.Backend, func() {}, nil
	}
	if engine, err = open(); err != nil {
		return nil, nil, err
	}
	return engine, engine.Finalize, nil
}

// NeedsOf are what the runs of a config ask of their engine.
func NeedsOf(c metro.Config) EngineNeeds {
	return EngineNeeds{
		Small: c.Main.Width <= widestSmall, TF32: c.Training.MatMul == metro.MatMulTF32, Deterministic: c.Training.Deterministic,
	}
}

// take returns an idle program for w, or a new one.
func (r *Runner) take(w Workload) (*Program, error) {
	key := w.GraphKey()
	r = r.kept()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, p := range slices.Backward(r.idle) {
		if p.key == key {
			r.idle = slices.Delete(r.idle, i, i+1)
			return p, nil
		}
	}
	engine, closes, err := r.Engine(w.Model().Config)
	if err != nil {
		return nil, err
	}
	program, turn := NewProgram(engine, w), &r.turn
	program.closes = closes
	if engine != r.Backend {
		turn = new(sync.Mutex)
	}
	if err := program.divide(r.Devices, turn); err != nil {
		program.Close()
		return nil, err
	}
	return program, nil
}

// giveBack keeps a program for the next run. The one that was not used for longest may have to go.
func (r *Runner) giveBack(p *Program) {
	r = r.kept()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, p)
	if len(r.idle) > mostIdle {
		r.idle[0].Close()
		r.idle = slices.Delete(r.idle, 0, 1)
	}
}

// Close gives back what the runner has opened: files, compiled programs and their memory. No run may be under way. The
// backend stays open; the runner may be used again.
func (r *Runner) Close() error {
	r.mu.Lock()
	for _, p := range r.idle {
		p.Close()
	}
	r.idle = nil
	r.mu.Unlock()
	r.heldOuts.drain()
	r.frozenTexts.drain()
	r.corpora.drain()
	var errs []error
	for _, d := range r.datasets.drain() {
		errs = append(errs, d.Close())
	}
	for _, c := range r.corruptions.drain() {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// ReadResult reads the result of a run, if it is finished.
func ReadResult(run *runs.Run) (result Result, found bool, err error) {
	path := run.Path(runs.ResultFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return Result{}, false, nil
	}
	if err := runs.ReadSealed(path, &result); err != nil {
		return Result{}, false, usererr.New("%w; remove the file and give the same command again: the last checkpoint is measured once more", err)
	}
	result.Run = run
	return result, true, nil
}
