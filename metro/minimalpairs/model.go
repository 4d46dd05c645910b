// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// Names of the scorers of a model.
const (
	Detector  = "detector"   // Σ log p(original), p = σ(−z) of the RTD head: one pass
	CLM       = "clm"        // Σ log q of the corrective head for what stands there: one pass
	CLMMasked = "clm-masked" // the same at masks, which no main model of this objective has seen
	LM        = "lm"         // Σ log q of a language modelling head for what stands there: one pass
	LMMasked  = "lm-masked"  // the same at masks: pseudo-log-likelihood
	Generator = "generator"  // pseudo-log-likelihood by the generator's head, which says little of the main model
)

// kinds are the scorers by what they ask.
var kinds = []struct {
	name, head string // see [training.Pretrained.Heads]
	masked     bool
}{
	{Detector, "rtd", false},
	{CLM, "clm", false}, {CLMMasked, "clm", true},
	{LM, "lm", false}, {LMMasked, "lm", true},
	{Generator, "generator", true},
}

// ScorerNames lists the scorers of models.
func ScorerNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Model is a pretrained model that sentences can be scored by. It is not for several goroutines at once.
type Model struct {
	Tokenizer tokens.Tokenizer

	model metro.Model
	dir   string // in messages
	store *model.Store
	be    compute.Backend
	heads []string
}

// Open loads the weights of p. A model without any head that could score, and one without a tokenizer, are the user's error.
func Open(be compute.Backend, p training.Pretrained) (*Model, error) {
	heads, err := p.Heads()
	if err != nil {
		return nil, err
	}
	m := &Model{Tokenizer: p.Tokenizer, model: p.Model, dir: p.Dir, store: model.NewStore(), be: be, heads: heads}
	if len(heads) == 0 {
		return nil, usererr.New("%s has no head to score with, neither RTD nor a language model's", p.Dir)
	}
	if p.Tokenizer == nil {
		return nil, usererr.New("%s has no tokenizer; put the tokenizer.json or the vocab.txt of the model there", p.Dir)
	}
	// Rows may be shorter than those that the model was trained on, and read the beginning of its position table.
	m.model.Config.Positions.Rows = m.model.Config.PositionRows()
	err = exceptions.TryCatch[error](func() {
		g := NewGraph(be, "variables")
		defer g.Finalize()
		model.SetStore(g, m.store)
		tokens := Parameter(g, "tokens", shapes.Make(dtypes.Int32, 1, m.model.Config.Data.SeqLen))
		for _, head := range heads {
			m.logP(m.store.RootScope(), head, tokens, nil, tokens)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("build the model of %s: %w", p.Dir, err)
	}
	return m, p.RestoreAll(m.store)
}

// logP is what a head gives the tokens that belong at places of rows of tokens, [B, S] int32: the log of a probability, [B, P].
// Places and targets are [B, P] int32; without places, targets are [B, S], one at each.
func (m *Model) logP(scope *model.Scope, head string, tokens, places, targets *Node) *Node {
	of := m.model
	of.Config.Data.SeqLen = tokens.Shape().Dim(1)
	nonPad := NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, of.PadID))
	biasScale := Scalar(tokens.Graph(), dtypes.Float32, of.Config.Positions.Scale)
	var states *Node
	if head == "generator" {
		layers := of.GeneratorLayers(scope, tokens, nonPad, biasScale, nil)
		states = layers[len(layers)-1]
	} else {
		states = of.MainStates(scope, tokens, nonPad, biasScale, nil)
	}
	if places != nil {
		states = metro.GatherPositions(states, places)
	}
	switch head {
	case "rtd":
		return Neg(metro.RTDLosses(of.RTDHead(scope, states), ZerosLike(targets))) // log p(original)
	case "clm":
		return Neg(metro.NegativeLogLikelihood(of.CLMHead(scope, states), targets))
	case "lm":
		return Neg(metro.NegativeLogLikelihood(of.LMHead(scope, states), targets))
	default:
		return Neg(metro.NegativeLogLikelihood(of.GeneratorHead(scope, states), targets))
	}
}

// Names lists the scorers that the model has heads for.
func (m *Model) Names() (names []string) {
	for _, k := range kinds {
		if slices.Contains(m.heads, k.head) {
			names = append(names, k.name)
		}
	}
	return names
}

// Scorer returns the scorer of a name. One that the model has no head for is the user's error.
func (m *Model) Scorer(name string) (Scorer, error) {
	i := slices.Index(ScorerNames(), name)
	if i < 0 {
		return nil, usererr.New("there is no scorer %q; there are %s", name, strings.Join(ScorerNames(), ", "))
	}
	k := kinds[i]
	if !slices.Contains(m.heads, k.head) {
		return nil, usererr.New("%s has no head for the scorer %s; it has those for %s", m.dir, name, strings.Join(m.Names(), ", "))
	}
	exec, err := model.NewExec(m.be, m.store, func(scope *model.Scope, in []*Node) *Node {
		if k.masked {
			return m.logP(scope, k.head, in[0], in[1], in[2])
		}
		return m.logP(scope, k.head, in[0], nil, in[0])
	})
	if err != nil {
		return nil, fmt.Errorf("prepare %s of %s: %w", name, m.dir, err)
	}
	return &scorer{Model: m, name: name, masked: k.masked, exec: exec}, nil
}

// Survey says of how many sentences a model does not see all at once, because they are longer than its rows and are read in
// windows that overlap by half, and of how many it does not know all tokens.
func (m *Model) Survey(sentences []string) (long, unknown int) {
	for _, sentence := range sentences {
		ids := m.encode(sentence)
		if len(ids)+2 > m.model.Config.Data.SeqLen {
			long++
		}
		if slices.Contains(ids, m.Tokenizer.Special().UNK) {
			unknown++
		}
	}
	return long, unknown
}

// encode returns the tokens of a sentence, in which none is special.
func (m *Model) encode(sentence string) []int32 {
	ids := m.Tokenizer.EncodeIDs(nil, sentence)
	tokens.Plain(m.Tokenizer, ids)
	return ids
}

// windows cut a sentence into rows.
func (m *Model) windows() data.Windows {
	return data.Windows{SeqLen: m.model.Config.Data.SeqLen, Special: m.Tokenizer.Special(), Closed: true, Overlap: true}
}

// scorer is one head's way of scoring.
type scorer struct {
	*Model
	name   string
	masked bool
	exec   *model.Exec
}

func (s *scorer) Name() string { return s.name }

// row is what is read at once: a window and, for scorers with masks, the token of it that is masked.
type row struct {
	*data.Window
	masked int // place in the window
	length int // without padding, rounded up: rows of one length are one shape to compile
}

const (
	lengthStep = 16
	atOnce     = 1 << 10 // tokens
)

// Score implements [Scorer]: Σ of log p over the tokens of a sentence, [CLS] and [SEP] left out. The shortest rows are read first,
// and progress counts rows.
func (s *scorer) Score(ctx context.Context, sentences []string, progress func(done, total int)) ([]float64, error) {
	var rows []row
	for i, sentence := range sentences {
		for _, w := range s.windows().Cut(i, s.encode(sentence)) {
			rows = s.rows(rows, &w)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.length, b.length) })
	scores := make([]float64, len(sentences))
	for done := 0; done < len(rows); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		length := rows[done].length
		most := min(done+max(1, atOnce/length), len(rows))
		next := done
		for next < most && rows[next].length == length {
			next++
		}
		if err := s.read(rows[done:next], scores); err != nil {
			return nil, err
		}
		if done = next; progress != nil {
			progress(done, len(rows))
		}
	}
	return scores, nil
}

// rows appends those that a window takes: one, or one for each token that it answers for.
func (s *scorer) rows(rows []row, w *data.Window) []row {
	length := len(w.Tokens)
	for length > 0 && w.Tokens[length-1] == s.model.PadID {
		length--
	}
	length = min(len(w.Tokens), (length+lengthStep-1)/lengthStep*lengthStep)
	if !s.masked {
		return append(rows, row{w, 0, length})
	}
	for t := w.From; t < w.To; t++ {
		rows = append(rows, row{w, w.Place(t), length})
	}
	return rows
}

// read adds what rows of one length say to the scores of their sentences.
func (s *scorer) read(rows []row, scores []float64) error {
	length := rows[0].length
	n := max(1, atOnce/length) // all calls have one shape; what is beyond the rows is the last of them again
	tokens, places, targets := make([]int32, n*length), make([]int32, n), make([]int32, n)
	for i := range n {
		r := rows[min(i, len(rows)-1)]
		copy(tokens[i*length:(i+1)*length], r.Tokens)
		if s.masked {
			places[i], targets[i] = int32(r.masked), r.Tokens[r.masked]
			tokens[i*length+r.masked] = s.Tokenizer.Special().MASK
		}
	}
	in := []any{tensors.FromFlatDataAndDimensions(tokens, n, length)}
	if s.masked {
		in = append(in, tensors.FromFlatDataAndDimensions(places, n, 1), tensors.FromFlatDataAndDimensions(targets, n, 1))
	}
	out, err := s.exec.Call(in...)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	values, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return fmt.Errorf("read the scores: %w", err)
	}
	out[0].MustFinalizeAll()
	if err := weights.Finite(values); err != nil {
		return usererr.New("%s answers with what is no number: of %s, %w", s.dir, s.name, err)
	}
	for i, r := range rows {
		if s.masked {
			scores[r.Text] += float64(values[i])
			continue
		}
		for t := r.From; t < r.To; t++ {
			scores[r.Text] += float64(values[i*length+r.Place(t)])
		}
	}
	return nil
}
