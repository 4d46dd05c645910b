// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/data"
	"metrolab/metro/minimalpairs"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// sentences of several lengths; the last one is longer than a row of micro.
var sentences = []string{
	"dogs", "The dogs barks.", "[MASK] dog", strings.Repeat("The dogs bark and a dog barks. ", 2),
}

// trained makes a micro model of an objective in 20 steps, once.
func trained(t *testing.T, objective string) training.Pretrained {
	t.Helper()
	models.Lock()
	defer models.Unlock()
	if models.of[objective] == "" {
		dir, err := os.MkdirTemp("", "metrolab-minimalpairs-")
		require.NoError(t, err)
		path, cache := filepath.Join(dir, "text.txt"), filepath.Join(dir, "cache")
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(dogs(1000), "\n\n")), 0o600))
		corpus, err := text.Prepare(t.Context(), path, cache, nil)
		require.NoError(t, err)
		c := recipes.Micro()
		c.Training.Steps, c.Objective.Name = 20, objective
		r := training.Runner{Backend: backendtest.Go(t), BackendKind: "go", Corpus: corpus, CacheDir: cache, Store: runs.Store{Root: dir}}
		result, err := r.Run(context.Background(), "run", c, nil)
		require.NoError(t, err)
		models.of[objective] = result.Run.Dir
	}
	p, err := training.LoadPretrained(models.of[objective])
	require.NoError(t, err)
	return p
}

var models = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

// Every scorer gives what adding up full answers gives: all logits of rows as long as the model's, a row at a time.
func TestScoresAreSumsOfAnswers(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for objective, names := range map[string][]string{
			"rtd_clm": {minimalpairs.Detector, minimalpairs.CLM, minimalpairs.CLMMasked, minimalpairs.Generator},
			"mlm":     {minimalpairs.LM, minimalpairs.LMMasked},
		} {
			p := trained(t, objective)
			m, err := minimalpairs.Open(be, p)
			require.NoError(t, err)
			require.Equal(t, names, m.Names())
			full := fullAnswers(t, be, p)
			for _, name := range names {
				s, err := m.Scorer(name)
				require.NoError(t, err)
				last := 0
				got, err := s.Score(t.Context(), sentences, func(done, total int) {
					require.Greater(t, done, last)
					require.GreaterOrEqual(t, total, done)
					last = done
				})
				require.NoError(t, err)
				for i, sentence := range sentences {
					want := slowly(p, name, sentence, full)
					require.InEpsilon(t, want, got[i], 2e-5, "%s of %q", name, sentence)
				}
				again, err := s.Score(t.Context(), []string{sentences[1]}, nil)
				require.NoError(t, err)
				require.InEpsilon(t, got[1], again[0], 1e-6, "a score does not depend on what is scored beside it")
			}
		}
	})
}

// fullAnswers is a function of a row, [S], and a head that gives all its logits, [S, V] or, of RTD, [S].
func fullAnswers(t *testing.T, be compute.Backend, p training.Pretrained) func(row []int32, head string) []float32 {
	heads, err := p.Heads()
	require.NoError(t, err)
	store := model.NewStore()
	exec, err := model.NewExec(be, store, func(scope *model.Scope, tokens *Node) (answers []*Node) {
		m, nonPad := p.Model, NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, p.Model.PadID))
		scale := Scalar(tokens.Graph(), dtypes.Float32, m.Config.Positions.Scale)
		states := m.MainStates(scope, tokens, nonPad, scale, nil)
		for _, head := range heads {
			switch head {
			case "rtd":
				answers = append(answers, m.RTDHead(scope, states))
			case "clm":
				answers = append(answers, m.CLMHead(scope, states))
			case "lm":
				answers = append(answers, m.LMHead(scope, states))
			case "generator":
				layers := m.GeneratorLayers(scope, tokens, nonPad, scale, nil)
				answers = append(answers, m.GeneratorHead(scope, layers[len(layers)-1]))
			}
		}
		return answers
	})
	require.NoError(t, err)
	call := func(row []int32) []*tensors.Tensor {
		return exec.MustCall(tensors.FromFlatDataAndDimensions(row, 1, len(row)))
	}
	call(make([]int32, p.Model.Config.Data.SeqLen)) // makes the variables
	require.NoError(t, p.RestoreAll(store))
	return func(row []int32, head string) []float32 {
		return tensors.MustCopyFlatData[float32](call(row)[slices.Index(heads, head)])
	}
}

// slowly scores a sentence by all the logits of whole rows, a row a token.
func slowly(p training.Pretrained, name, sentence string, full func(row []int32, head string) []float32) (sum float64) {
	special := p.Tokenizer.Special()
	ids := p.Tokenizer.EncodeIDs(nil, sentence)
	for i, id := range ids {
		if p.Tokenizer.IsSpecial(id) {
			ids[i] = special.UNK
		}
	}
	windows := data.Windows{SeqLen: p.Model.Config.Data.SeqLen, Special: special, Closed: true, Overlap: true}
	for _, w := range windows.Cut(0, ids) {
		for at := w.From; at < w.To; at++ {
			place, row := w.Place(at), slices.Clone(w.Tokens)
			if strings.HasSuffix(name, "masked") || name == minimalpairs.Generator {
				row[place] = special.MASK
			}
			answers := full(row, strings.TrimSuffix(strings.ReplaceAll(name, minimalpairs.Detector, "rtd"), "-masked"))
			if name == minimalpairs.Detector {
				sum -= math.Log1p(math.Exp(float64(answers[place])))
				continue
			}
			logits, all := answers[place*p.Model.Vocab:(place+1)*p.Model.Vocab], 0.0
			for _, z := range logits {
				all += math.Exp(float64(z))
			}
			sum += float64(logits[ids[at]]) - math.Log(all)
		}
	}
	return sum
}

func TestSurvey(t *testing.T) {
	m, err := minimalpairs.Open(backendtest.Go(t), trained(t, "rtd_clm"))
	require.NoError(t, err)
	long, unknown := m.Survey(append([]string{"☃"}, sentences...))
	require.Equal(t, 1, long)
	require.Equal(t, 3, unknown, "☃, [MASK], which must not act as one, and the n of and")
}

func TestScorersThatAreNotThere(t *testing.T) {
	m, err := minimalpairs.Open(backendtest.Go(t), trained(t, "mlm"))
	require.NoError(t, err)
	_, err = m.Scorer("detector")
	require.ErrorContains(t, err, "has no head for the scorer detector; it has those for lm, lm-masked")
	require.True(t, usererr.Is(err))
	_, err = m.Scorer("oracle")
	require.ErrorContains(t, err, `there is no scorer "oracle"; there are detector, clm, clm-masked, lm, lm-masked, generator`)
	require.True(t, usererr.Is(err))
}

// A generator alone scores as it does in its pair, and an exported pair as the run.
func TestExportedModelsScoreTheSame(t *testing.T) {
	p := trained(t, "rtd_clm")
	dir := filepath.Join(t.TempDir(), "pair")
	_, err := p.Export(dir)
	require.NoError(t, err)
	scores := func(dir string, name string) []float64 {
		p, err := training.LoadPretrained(dir)
		require.NoError(t, err)
		m, err := minimalpairs.Open(backendtest.Go(t), p)
		require.NoError(t, err)
		s, err := m.Scorer(name)
		require.NoError(t, err)
		list, err := s.Score(t.Context(), sentences, nil)
		require.NoError(t, err)
		return list
	}
	require.Equal(t, scores(p.Dir, minimalpairs.Generator), scores(filepath.Join(dir, "generator"), minimalpairs.Generator))
	require.Equal(t, scores(p.Dir, minimalpairs.Detector), scores(dir, minimalpairs.Detector))
}

func TestScoringStops(t *testing.T) {
	m, err := minimalpairs.Open(backendtest.Go(t), trained(t, "rtd_clm"))
	require.NoError(t, err)
	s, err := m.Scorer(minimalpairs.Generator)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	many := strings.Fields(strings.Repeat("dogs ", 10)) // of more rows than are read at once
	for i := range many {
		many[i] = strings.Repeat(many[i]+" ", 9+i)
	}
	_, err = s.Score(ctx, many, func(int, int) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}
