// SPDX-License-Identifier: Apache-2.0

package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
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
	Corpus      *data.Corpus
	CacheDir    string
	Store       runs.Store

	mu       sync.Mutex
	datasets map[metro.Data]*data.Dataset
	heldOuts map[string]*HeldOut
	programs map[string][]*Program // idle ones
}

// Run trains config, or goes on with it, or returns the result of the run that is finished already. The run's
// directory is named after name and the hash of its [RunIdentity]. If ctx ends, the state is saved and the error wraps
// [ErrInterrupted]. A run that diverges has a result that says so and no error: repeating it would change nothing.
func (r *Runner) Run(ctx context.Context, name string, config metro.Config, report func(Progress)) (Result, error) {
	run, dataset, err := r.open(ctx, name, config)
	if err != nil {
		return Result{}, err
	}
	if result, found, err := ReadResult(run); found || err != nil {
		return result, err
	}
	lease, err := run.Acquire()
	if err != nil {
		return Result{}, err
	}
	result, err := r.train(ctx, lease, run, dataset, config, report)
	return result, errors.Join(err, lease.Release())
}

// Open returns the directory of the run of config, made if there is none, without training it.
func (r *Runner) Open(ctx context.Context, name string, config metro.Config) (*runs.Run, error) {
	run, _, err := r.open(ctx, name, config)
	return run, err
}

func (r *Runner) open(ctx context.Context, name string, config metro.Config) (*runs.Run, *data.Dataset, error) {
	if err := config.Validate(); err != nil {
		return nil, nil, err
	}
	dataset, err := r.Dataset(ctx, config.Data, nil)
	if err != nil {
		return nil, nil, err
	}
	identity := RunIdentity{
		Config: config, Corpus: dataset.Corpus.Hash, Tokenizer: dataset.Tokenizer.Hash(),
		Backend: r.BackendKind, DType: "float32", NumericsVersion: NumericsVersion,
	}
	id, err := runs.ID(name, identity)
	if err != nil {
		return nil, nil, err
	}
	run, err := r.Store.Create(id, identity)
	return run, dataset, err
}

func (r *Runner) train(ctx context.Context, lease *runs.Lease, run *runs.Run, dataset *data.Dataset, config metro.Config, report func(Progress)) (Result, error) {
	if report == nil {
		report = func(Progress) {}
	}
	provenance := runs.CollectProvenance(time.Now(), r.Provenance)
	if err := lease.WriteJSON(runs.ProvenanceFile, provenance); err != nil {
		return Result{}, err
	}
	if err := dataset.Tokenizer.Save(run.Path(runs.TokenizerFile)); err != nil {
		return Result{}, err
	}
	l, err := r.prepare(lease, dataset, config)
	if err != nil {
		return Result{}, err
	}
	l.report = report
	defer r.giveBack(l.program)
	defer l.metrics.Close()

	metrics, err := l.run(ctx)
	result := Result{Steps: l.state.Step, Metrics: metrics, Seconds: l.state.Seconds, Run: run}
	var diverged *Divergence
	if errors.As(err, &diverged) {
		result.Diverged = diverged.Error()
	} else if err != nil {
		return result, err
	}
	provenance.Finished = time.Now()
	if err := lease.WriteJSON(runs.ProvenanceFile, provenance); err != nil {
		return result, err
	}
	return result, lease.WriteJSON(runs.ResultFile, result)
}

// prepare gathers what a loop works on.
func (r *Runner) prepare(lease *runs.Lease, dataset *data.Dataset, config metro.Config) (*loop, error) {
	heldOut, err := r.heldOut(dataset, config)
	if err != nil {
		return nil, err
	}
	metrics, err := lease.Metrics()
	if err != nil {
		return nil, err
	}
	program, err := r.take(metro.Model{Config: config, Vocab: dataset.Vocab, PadID: dataset.PadID})
	if err != nil {
		return nil, err
	}
	return &loop{
		config: config, program: program, heldOut: heldOut, loader: loader(config, dataset, dataset.Train),
		lease: lease, metrics: metrics, checkpoints: lease.Checkpoints(config.Training.KeepCheckpoints),
	}, nil
}

// Dataset returns the corpus read as d says. The first call for each d learns the tokenizer and writes the token
// files, unless the cache has them; progress is called as in [data.NewDataset].
func (r *Runner) Dataset(ctx context.Context, d metro.Data, progress func(done, total int)) (*data.Dataset, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if dataset, ok := r.datasets[d]; ok {
		return dataset, nil
	}
	tokenizer, err := data.LearnTokenizer(ctx, r.Corpus, d.VocabSize, d.Lowercase, r.CacheDir)
	if err != nil {
		return nil, err
	}
	dataset, err := data.NewDataset(ctx, r.Corpus, tokenizer, d.SeqLen, r.CacheDir, progress)
	if err != nil {
		return nil, err
	}
	if r.datasets == nil {
		r.datasets = map[metro.Data]*data.Dataset{}
	}
	r.datasets[d] = dataset
	return dataset, nil
}

func (r *Runner) heldOut(dataset *data.Dataset, c metro.Config) (*HeldOut, error) {
	key := fmt.Sprint(c.Data, c.Evaluation, c.Training.BatchSize, c.Objective.MaskRate)
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

func programKey(m metro.Model) string {
	return fmt.Sprintf("%s/%d/%d", m.Config.GraphKey(), m.Vocab, m.PadID)
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
