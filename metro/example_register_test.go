// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// Three ideas of one's own: RTD that learns only where the detector is sure, replacements drawn from the square roots of
// the tokens' frequencies, and a metric that counts how often the detector is sure.
func init() {
	sure := func(p *metro.Pass) *Node {
		return And(p.NonPad, GreaterThan(Abs(p.RTDLogits()), Scalar(p.NonPad.Graph(), dtypes.Float32, 0.01)))
	}
	metro.RegisterObjective("rtd_confident", 1, func(p *metro.Pass) []metro.Term {
		loss := metro.RTDLoss(p.RTDLogits(), p.Replaced(), sure(p))
		return append(p.GeneratorTerms(), metro.Term{Name: "rtd", Loss: loss, Weight: p.Scalars.RTDWeight})
	})
	metro.RegisterSource("square_root", 1, func(p *metro.Pass) *Node {
		slots := p.Batch.Positions.Shape()
		logits := MulScalar(Const(p.Batch.Positions.Graph(), p.Model.LogUnigram), 0.5)
		return BroadcastPrefix(logits, slots.Dim(0), slots.Dim(1))
	})
	metro.RegisterMetric("sure", 1, func(p *metro.Pass) (sum, count *Node) {
		number := func(x *Node) *Node { return ReduceAllSum(ConvertDType(x, dtypes.Float32)) }
		return number(sure(p)), number(p.NonPad)
	})
}

// Registered parts are set, checked and trained like those that ship, and a run's identity has their versions.
func ExampleRegisterObjective() {
	config := recipes.Micro()
	for _, assignment := range []string{
		"objective.name=rtd_confident", "objective.rtd_zero_init=false", "replacements.source=square_root", "evaluation.metrics=sure", "training.steps=60",
	} {
		if err := config.Set(assignment); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(config.Validate(), config.Components())

	result, err := train(config)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Steps, "steps;", "sure more often than not:", result.Metrics["val_sure"] > 0.5)
	// Output:
	// <nil> map[metric/sure:1 objective/rtd_confident:1 source/square_root:1]
	// 60 steps; sure more often than not: true
}

// train runs config on a small text, in a folder that is removed.
func train(config metro.Config) (result training.Result, err error) {
	dir, err := os.MkdirTemp("", "metrolab-example-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	var prose strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&prose, "Sentence %d of a text that says the same %d times, more or less.\n\n", i, i%7)
	}
	file := filepath.Join(dir, "text.txt")
	if err = os.WriteFile(file, []byte(prose.String()), 0o600); err != nil {
		return result, err
	}
	corpus, err := text.Prepare(context.Background(), file, dir, nil)
	if err != nil {
		return result, err
	}
	be, err := backend.Open("go")
	if err != nil {
		return result, err
	}
	defer be.Finalize()
	r := &training.Runner{Backend: be, BackendKind: "go", Corpus: corpus, CacheDir: dir, Store: runs.Store{Root: filepath.Join(dir, "runs")}}
	return r.Run(context.Background(), "mine", config, nil)
}
