// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
	"metrolab/metro/training"
)

// worker is metrolab's own side: the same talk as in peer.py, over a compiled training step, a tokenizer or the preparation of a text.
type worker struct {
	about about
	step  func(i int) error
	loss  func() (map[string]float64, error) // waits for the last step
}

// warmUp is the number of steps before a peer says that it is ready: peer.py's WARM_UP.
const warmUp = 2

// work is a process that does the shape's task as it is told on in.
func work(s shape, dir string, in io.Reader, out io.Writer) error {
	open := func() (worker, error) { return newTrainer(s) }
	if s.name == prepareName {
		open = func() (worker, error) { return newPreparer(dir) }
	} else if s.recipe == "" {
		open = func() (worker, error) { return newEncoder(dir) }
	}
	w, err := open()
	if err != nil {
		return err
	}
	return w.serve(in, out)
}

func (w worker) serve(in io.Reader, out io.Writer) error {
	done := 0
	steps := func(n int) (map[string]float64, error) {
		for range n {
			if err := w.step(done); err != nil {
				return nil, err
			}
			done++
		}
		return w.loss()
	}
	for range warmUp {
		loss, err := steps(1)
		if err != nil {
			return err
		}
		w.about.Losses = append(w.about.Losses, loss)
	}
	answers := json.NewEncoder(out)
	if err := answers.Encode(w.about); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			return fmt.Errorf("a number of steps: %w", err)
		}
		loss, err := steps(n)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer{loss}); err != nil {
			return err
		}
	}
	return nil
}

// modelOf is the model of a config over its own vocabulary.
func modelOf(c metro.Config) metro.Model {
	return metro.Model{Config: c, Vocab: c.Data.VocabSize, PadID: padID}
}

// initialWeights are the values with which every peer begins.
func initialWeights(c metro.Config) (*model.Store, error) {
	engine, err := backend.Open("go")
	if err != nil {
		return nil, err
	}
	return training.InitialVariables(engine, modelOf(c))
}

// newTrainer runs training steps of a shape on the best backend that is here.
func newTrainer(s shape) (w worker, err error) {
	c, err := s.config()
	if err != nil {
		return w, err
	}
	engine, err := backend.Open("auto")
	if err != nil {
		return w, err
	}
	if open := backend.Fit(engine, backend.Needs(training.NeedsOf(c))); open != nil {
		if engine, err = open(); err != nil {
			return w, err
		}
	}
	workload := training.NewPretraining(modelOf(c))
	program := training.NewProgram(engine, workload)
	if err := program.Start(workload); err != nil {
		return w, err
	}
	inv, _ := c.Inventory(c.Data.VocabSize)
	flops, err := c.FLOPs(c.Data.VocabSize)
	if err != nil {
		return w, err
	}
	info := backend.Describe(engine)
	w.about = about{Version: fmt.Sprintf("%s, %s", info.Kind, info.PluginVersion), Parameters: inv.Count(), FLOPs: flops.Total()}
	list := batches(c)
	var last training.StepOutput
	w.step = func(i int) error {
		last.Release()
		last, err = program.Step(workload.Host(list[i%len(list)]), i+1)
		return err
	}
	w.loss = func() (map[string]float64, error) { return losses(last, c) }
	return w, nil
}

// losses reads the losses of a step by the names that the peers give them.
func losses(out training.StepOutput, c metro.Config) (map[string]float64, error) {
	tally, _, err := out.Tally()
	if err != nil {
		return nil, err
	}
	named := map[string]float64{"loss": tally.Metric("loss"), "generator": tally.Metric("generator_loss"), "rtd": tally.Metric("rtd_loss")}
	if c.Objective.Name == "rtd_clm" {
		named["clm"] = tally.Metric("clm_loss")
	}
	return named, nil
}

// newEncoder encodes the texts of a task, on as many goroutines as there are processors.
func newEncoder(dir string) (w worker, err error) {
	tokenizer, err := tokens.Load(filepath.Join(dir, tokenizerFile))
	if err != nil {
		return w, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, textsFile))
	if err != nil {
		return w, err
	}
	var texts []string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return w, fmt.Errorf("read %s: %w", textsFile, err)
	}
	w.about.Version = runtime.Version()
	encoded := make([][]int32, len(texts))
	w.step = func(int) error {
		var next atomic.Int64
		var group sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(texts)); i = next.Add(1) - 1 {
					encoded[i] = tokenizer.EncodeIDs(encoded[i][:0], texts[i])
				}
			})
		}
		group.Wait()
		return nil
	}
	w.loss = func() (map[string]float64, error) {
		sum, n := crc32.NewIEEE(), 0
		for _, ids := range encoded {
			n += len(ids)
			if err := binary.Write(sum, binary.LittleEndian, ids); err != nil {
				return nil, err
			}
		}
		return map[string]float64{"tokens": float64(n), "crc32": float64(sum.Sum32())}, nil
	}
	return w, nil
}
