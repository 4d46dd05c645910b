// SPDX-License-Identifier: Apache-2.0

package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// NumericsVersion is raised by hand whenever equal configs stop giving equal numbers; a golden trajectory in the tests
// says when. It is part of a run's identity, so that runs from before and after are never taken for one another.
const NumericsVersion = 1

// RunIdentity is all that decides a run's numbers. Its hash names the run.
type RunIdentity struct {
	Config          metro.Config `json:"config"`
	Corpus          string       `json:"corpus"`    // content hash
	Tokenizer       string       `json:"tokenizer"` // content hash
	Backend         string       `json:"backend"`   // kind; results are bit for bit comparable within one only
	DType           string       `json:"dtype"`
	NumericsVersion int          `json:"numerics_version"`

	Components map[string]int    `json:"components"`        // see [metro.Config.Components]
	Weights    map[string]string `json:"weights,omitempty"` // content hashes of the trained models that the config begins with
}

// Result is what a finished run leaves in result.json.
type Result struct {
	Steps    int         `json:"steps"`
	Metrics  runs.Values `json:"metrics"`            // the last evaluation
	Seconds  float64     `json:"seconds"`            // wall time of all attempts
	Diverged string      `json:"diverged,omitempty"` // why it ended early, if it did

	Run *runs.Run `json:"-"`
}

// Runner trains configs on one corpus and one backend. Runs share what they can: data, held-out sets, and one compiled
// [Program] a graph key and worker. It may be used from several goroutines.
type Runner struct {
	Backend     compute.Backend
	BackendKind string       // see [RunIdentity]
	Provenance  runs.Backend // written beside each result
	Corpus      *text.Corpus
	CacheDir    string
	Store       runs.Store

	mu       sync.Mutex
	datasets map[string]*data.Dataset
	heldOuts map[string]*HeldOut
	programs map[string][]*Program // idle ones
}

// Run trains config, or goes on with it, or returns the result of the run that is finished already. The run's
// directory is named after name and the hash of its [RunIdentity]. If ctx ends, the state is saved and the error wraps
// [ErrInterrupted]. A run that diverges has a result that says so and no error: repeating it would change nothing.
func (r *Runner) Run(ctx context.Context, name string, config metro.Config, report func(Progress)) (Result, error) {
	a, err := r.open(ctx, name, config)
	if err != nil {
		return Result{}, err
	}
	if result, found, err := ReadResult(a.run); found || err != nil {
		return result, err
	}
	if report == nil {
		report = func(Progress) {}
	}
	a.report = report
	if a.lease, err = a.run.Acquire(); err != nil {
		return Result{}, err
	}
	result, err := r.train(ctx, a)
	return result, errors.Join(err, a.lease.Release())
}

// Open returns the directory of the run of config, made if there is none, without training it.
func (r *Runner) Open(ctx context.Context, name string, config metro.Config) (*runs.Run, error) {
	a, err := r.open(ctx, name, config)
	return a.run, err
}

// assignment is what training a run takes.
type assignment struct {
	config  metro.Config
	dataset *data.Dataset
	origins origins
	run     *runs.Run
	lease   *runs.Lease
	report  func(Progress)
}

func (r *Runner) open(ctx context.Context, name string, config metro.Config) (a assignment, err error) {
	a.config = config
	if err := config.Validate(); err != nil {
		return a, err
	}
	if config.Training.MatMul == metro.MatMulBFloat16 && strings.HasPrefix(r.BackendKind, "go") {
		return a, usererr.New("training.matmul=%s needs XLA; the pure-Go backend multiplies in float32 only", metro.MatMulBFloat16)
	}
	if a.origins, err = loadOrigins(config); err != nil {
		return a, err
	}
	if a.dataset, err = r.dataset(ctx, config.Data, a.origins.tokenizer(), nil); err != nil {
		return a, err
	}
	identity := RunIdentity{
		Config: config, Corpus: a.dataset.Corpus.Hash, Tokenizer: a.dataset.Tokenizer.Hash(),
		Backend: r.BackendKind, DType: "float32", NumericsVersion: NumericsVersion, Components: config.Components(),
	}
	if identity.Weights, err = a.origins.hashes(); err != nil {
		return a, err
	}
	id, err := runs.ID(name, identity)
	if err != nil {
		return a, err
	}
	a.run, err = r.Store.Create(id, identity)
	return a, err
}

func (r *Runner) train(ctx context.Context, a assignment) (Result, error) {
	provenance := runs.CollectProvenance(time.Now(), r.Provenance)
	if err := a.lease.WriteJSON(runs.ProvenanceFile, provenance); err != nil {
		return Result{}, err
	}
	if err := a.dataset.Tokenizer.Save(a.run.Path(runs.TokenizerFile)); err != nil {
		return Result{}, err
	}
	l, err := r.prepare(a)
	if err != nil {
		return Result{}, err
	}
	defer r.giveBack(l.program)
	defer l.metrics.Close()

	metrics, err := l.run(ctx)
	result := Result{Steps: l.state.Step, Metrics: metrics, Seconds: l.state.Seconds, Run: a.run}
	var diverged *Divergence
	if errors.As(err, &diverged) {
		result.Diverged = diverged.Error()
	} else if err != nil {
		return result, err
	}
	provenance.Finished = time.Now()
	if err := a.lease.WriteJSON(runs.ProvenanceFile, provenance); err != nil {
		return result, err
	}
	return result, a.lease.WriteJSON(runs.ResultFile, result)
}

// prepare gathers what a loop works on.
func (r *Runner) prepare(a assignment) (*loop, error) {
	heldOut, err := r.heldOut(a.dataset, a.config)
	if err != nil {
		return nil, err
	}
	metrics, err := a.lease.Metrics()
	if err != nil {
		return nil, err
	}
	m, err := a.model()
	if err != nil {
		return nil, err
	}
	program, err := r.take(m)
	if err != nil {
		return nil, err
	}
	return &loop{
		config: a.config, origins: a.origins, program: program, heldOut: heldOut, loader: loader(a.config, a.dataset, a.dataset.Train),
		lease: a.lease, metrics: metrics, checkpoints: a.lease.Checkpoints(a.config.Training.KeepCheckpoints), report: a.report,
	}, nil
}

// model is the model that the run trains.
func (a assignment) model() (m metro.Model, err error) {
	d := a.dataset
	m = metro.Model{Config: a.config, Vocab: max(d.Vocab, a.origins.vocab()), PadID: d.PadID, LogUniform: d.LogUniform()}
	if m.LogUnigram, err = d.LogUnigram(); err != nil {
		return m, err
	}
	for len(m.LogUniform) < m.Vocab { // rows of a table that no token has
		m.LogUniform, m.LogUnigram = append(m.LogUniform, neverDrawn), append(m.LogUnigram, neverDrawn)
	}
	return m, nil
}

// neverDrawn is the log-probability of a token that must not come up.
const neverDrawn = -1e9

// Dataset returns the corpus as config reads it: with the tokenizer of the trained models that it begins with or, if it
// begins with none, one learned from the corpus. The first call for each learns the tokenizer and writes the token
// files, unless the cache has them; progress is called as in [data.NewDataset].
func (r *Runner) Dataset(ctx context.Context, config metro.Config, progress func(done, total int)) (*data.Dataset, error) {
	o, err := loadOrigins(config)
	if err != nil {
		return nil, err
	}
	return r.dataset(ctx, config.Data, o.tokenizer(), progress)
}

func (r *Runner) dataset(ctx context.Context, d metro.Data, tokenizer tokens.Tokenizer, progress func(done, total int)) (*data.Dataset, error) {
	key := fmt.Sprint(d)
	if tokenizer != nil {
		key = fmt.Sprint(d.SeqLen, tokenizer.Hash())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if dataset, ok := r.datasets[key]; ok {
		return dataset, nil
	}
	if tokenizer == nil {
		var err error
		if tokenizer, err = tokens.Learn(ctx, r.Corpus, tokens.Options{VocabSize: d.VocabSize, Lowercase: d.Lowercase}, r.CacheDir); err != nil {
			return nil, err
		}
	}
	dataset, err := data.NewDataset(ctx, r.Corpus, tokenizer, d.SeqLen, r.CacheDir, progress)
	if err != nil {
		return nil, err
	}
	if r.datasets == nil {
		r.datasets = map[string]*data.Dataset{}
	}
	r.datasets[key] = dataset
	return dataset, nil
}

func (r *Runner) heldOut(dataset *data.Dataset, c metro.Config) (*HeldOut, error) {
	key := fmt.Sprint(dataset.Tokenizer.Hash(), c.Data.SeqLen, c.Evaluation.Rows, c.Training.BatchSize, c.Masking)
	r.mu.Lock()
	defer r.mu.Unlock()
	if h, ok := r.heldOuts[key]; ok {
		return h, nil
	}
	h, err := NewHeldOut(c, dataset)
	if err != nil {
		return nil, err
	}
	if r.heldOuts == nil {
		r.heldOuts = map[string]*HeldOut{}
	}
	r.heldOuts[key] = h
	return h, nil
}

// take returns an idle program for m, or a new one.
func (r *Runner) take(m metro.Model) (*Program, error) {
	key := programKey(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	if idle := r.programs[key]; len(idle) > 0 {
		r.programs[key] = idle[:len(idle)-1]
		return idle[len(idle)-1], nil
	}
	return NewProgram(r.Backend, m)
}

func (r *Runner) giveBack(p *Program) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.programs == nil {
		r.programs = map[string][]*Program{}
	}
	key := programKey(p.model)
	r.programs[key] = append(r.programs[key], p)
}

// programKey names a compiled computation: the graph's key, and what of the tokenizer is built into the graph.
func programKey(m metro.Model) string {
	key := fmt.Sprintf("%s/%d/%d", m.Config.GraphKey(), m.Vocab, m.PadID)
	switch m.Config.Replacements.Source {
	case metro.SourceJoint, metro.SourceFrozen:
		return key
	}
	return fmt.Sprint(key, m.LogUnigram)
}

// ReadResult reads the result of a run, if it is finished.
func ReadResult(run *runs.Run) (result Result, found bool, err error) {
	path := run.Path(runs.ResultFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return Result{}, false, nil
	}
	if err := runs.ReadJSON(path, &result); err != nil {
		return Result{}, false, usererr.New("%w; remove the file to train the run again", err)
	}
	result.Run = run
	return result, true, nil
}
