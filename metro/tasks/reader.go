// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// Reader runs a pretrained model on texts: which tokens does it think were replaced, what would it write there, what
// are its states? It answers with the heads that it has weights for. It is not for several goroutines at once.
type Reader struct {
	model   metro.Model
	tokens  tokens.Tokenizer // nil for a model without one, which reads ids alone
	special tokens.Special
	options ReaderOptions
	heads   []string
	name    string // of the model, in messages
	noMain  error  // says so, if it is a generator alone
	store   *model.Store
	exec    *model.Exec
	names   []string // of the outputs
	exits   *exits   // nil where every token goes through all layers
	guessed int      // guesses a token that the graph gives; what a caller asks for may be fewer
}

// ReaderOptions say what to ask for. The zero value asks for the best guess and no states.
type ReaderOptions struct {
	TopK   int  // guesses a token; 0 is 1
	Hidden bool // states of the last layer too

	// Exit, unless it is 0, lets a token leave the detector at the first RTD head that is as sure of it, and asks the detector alone: see
	// [metro.Model.DetectEarly]. A batch stops at the layer behind which Share of its tokens have left, in (0, 1]; the others have the
	// answers of the head there.
	Exit, Share float64
}

// Reading is what a model says of one text. All slices have one entry a token; those that the model has no head for,
// or that nobody asked for, are nil.
type Reading struct {
	IDs         []int32
	Spans       []tokens.Span // places in the text, in bytes; nil for rows of ids
	RTDLogits   []float32     // positive = replaced
	ExitLayers  []int32       // with early exits, the layer that the logit is of
	Corrections [][]Guess     // of the main model: what stood there before
	Generator   [][]Guess     // of the generator, at [MASK] alone, nil elsewhere; everywhere if no tokenizer says which is [MASK]
	Hidden      [][]float32   // [H] each
}

// Guess is a token and how likely it is.
type Guess struct {
	ID   int32
	Prob float32
}

// NewReader loads the weights of p. A model without any head that could answer is the user's error, unless states are
// asked for, which a generator alone has none of.
func NewReader(be compute.Backend, p training.Pretrained, o ReaderOptions) (*Reader, error) {
	heads, err := p.Heads()
	if err != nil {
		return nil, err
	}
	if len(heads) == 0 && !o.Hidden {
		return nil, usererr.New("%s has no head to answer with, neither RTD nor a language model's; ask for its states (--hidden), or fine-tune it", p.Dir)
	}
	if o.Exit != 0 {
		if err := checkExits(p, heads, o); err != nil {
			return nil, err
		}
		heads = []string{"rtd"}
	}
	noMain := p.NeedMain()
	if o.Hidden && noMain != nil {
		return nil, noMain
	}
	o.TopK = min(max(1, o.TopK), p.Model.Vocab)
	guessed := min(max(o.TopK, correctionChoice), p.Model.Vocab)
	r := &Reader{model: p.Model, tokens: p.Tokenizer, options: o, heads: heads, name: p.Dir, noMain: noMain, store: model.NewStore(), guessed: guessed}
	if r.special = (tokens.Special{PAD: p.Model.PadID}); r.tokens != nil {
		r.special = r.tokens.Special()
	}
	r.model.Config.Training.BatchSize = readerBatch
	err = exceptions.TryCatch[error](func() {
		g := NewGraph(be, "variables")
		defer g.Finalize()
		model.SetStore(g, r.store)
		tokens := Parameter(g, "tokens", shapes.Make(dtypes.Int32, readerBatch, r.model.Config.Data.SeqLen))
		r.graph(r.store.RootScope(), tokens)
		if o.Exit != 0 {
			scale := Scalar(g, dtypes.Float32, r.model.Config.Positions.Scale)
			r.model.DetectAtHeads(r.store.RootScope(), tokens, scale)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("build the model of %s: %w", p.Dir, err)
	}
	if r.exec, err = model.NewExec(be, r.store, r.graph); err != nil {
		return nil, fmt.Errorf("prepare the model of %s: %w", p.Dir, err)
	}
	if o.Exit != 0 {
		if r.exits, err = newExits(be, r.store, r.model, o); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Dir, err)
		}
	}
	return r, p.RestoreAll(r.store)
}

// readerBatch is the number of rows that are read at once.
const readerBatch = 8

// graph: tokens [B, S] → RTD logits [B, S]; probabilities and ids [B, S, K] of the main model's and of the generator's
// guesses; states [B, S, H]; each only if the model has it.
func (r *Reader) graph(scope *model.Scope, tokens *Node) (out []*Node) {
	m, g := r.model, tokens.Graph()
	nonPad := NotEqual(tokens, Scalar(g, dtypes.Int32, m.PadID))
	biasScale := Scalar(g, dtypes.Float32, m.Config.Positions.Scale)
	r.names = nil
	add := func(name string, nodes ...*Node) {
		for range nodes {
			r.names = append(r.names, name)
		}
		out = append(out, nodes...)
	}
	has := func(head string) bool { return slices.Contains(r.heads, head) }
	var states *Node
	if r.options.Hidden || has("rtd") || has("clm") || has("lm") {
		states = m.MainStates(scope, tokens, nonPad, biasScale, nil)
	}
	if has("rtd") {
		add("rtd", m.RTDHead(scope, states))
	}
	if has("clm") {
		add("corrections", r.guesses(m.CLMHead(scope, states))...)
	} else if has("lm") {
		add("corrections", r.guesses(m.LMHead(scope, states))...)
	}
	if has("generator") {
		layers := m.GeneratorLayers(scope, tokens, nonPad, biasScale, nil)
		add("generator", r.guesses(m.GeneratorHead(scope, layers[len(layers)-1]))...)
	}
	if r.options.Hidden {
		add("hidden", states)
	}
	return out
}

// guesses are the probabilities and the ids of the most likely tokens, and of equals of those with smaller ids.
func (r *Reader) guesses(logits *Node) []*Node {
	probs := Softmax(logits)
	if layers.InPureGo(probs.Graph()) && r.guessed <= correctionChoice {
		return maxima(probs, r.guessed)
	}
	probs, ids := TopK(probs, r.guessed, -1)
	return []*Node{probs, ConvertDType(ids, dtypes.Int32)}
}

// maxima are the k largest of the last axis of probs and where they are, each found without those before. It is for pure Go, whose
// sort took nine tenths of the time of reading with a vocabulary of 4,096; XLA's sort is the faster of the two.
func maxima(probs *Node, k int) []*Node {
	all := Iota(probs.Graph(), shapes.Make(dtypes.Int32, probs.Shape().Dimensions...), -1)
	var best, ids []*Node
	for range k {
		id := ArgMax(probs, -1, dtypes.Int32)
		best, ids = append(best, ReduceMax(probs, -1)), append(ids, id)
		probs = Where(Equal(all, BroadcastToShape(InsertAxes(id, -1), all.Shape())), AddScalar(ZerosLike(probs), -1), probs)
	}
	return []*Node{Stack(best, -1), Stack(ids, -1)}
}

// Texts reads texts of any length. A text longer than a row is read in windows that overlap by half, and each token is
// answered from the window that shows most of what stands around it. [MASK] in a text is the mask, at which the generator
// guesses; text that spells another special token is unknown to the model, as it was in training. A model without a
// tokenizer is the user's error.
func (r *Reader) Texts(ctx context.Context, texts ...string) ([]Reading, error) {
	readings, err := r.texts(ctx, texts, r.special.MASK)
	return r.asked(readings), err
}

// asked leaves of each list of guesses what the options ask for.
func (r *Reader) asked(readings []Reading) []Reading {
	for _, reading := range readings {
		for _, lists := range [][][]Guess{reading.Corrections, reading.Generator} {
			for i, list := range lists {
				lists[i] = list[:min(len(list), r.options.TopK)]
			}
		}
	}
	return readings
}

// texts reads texts, with those special tokens that are kept.
func (r *Reader) texts(ctx context.Context, texts []string, keep ...int32) ([]Reading, error) {
	if r.tokens == nil {
		return nil, usererr.New("%s has no tokenizer, so it reads ids alone; put the tokenizer.json or the vocab.txt of the model there", r.name)
	}
	var windows []data.Window
	readings := make([]Reading, len(texts))
	for i, text := range texts {
		e := r.tokens.Encode(text)
		n := len(e.IDs) - 1
		readings[i].IDs, readings[i].Spans = e.IDs[1:n], e.Bytes[1:n]
		tokens.Plain(r.tokens, readings[i].IDs, keep...)
		windows = append(windows, r.windows().Cut(i, readings[i].IDs)...)
	}
	return readings, r.read(ctx, windows, readings)
}

// Rows reads rows of ids as they are, [CLS] and [SEP] included if the caller wants them. An id that the model does not
// know and a row that is longer than the model's are the user's errors.
func (r *Reader) Rows(ctx context.Context, rows ...[]int32) ([]Reading, error) {
	windows := make([]data.Window, len(rows))
	readings := make([]Reading, len(rows))
	s := r.model.Config.Data.SeqLen
	for i, row := range rows {
		if len(row) == 0 || len(row) > s {
			return nil, usererr.New("row %d has %d ids; the model reads 1 to %d at a time", i+1, len(row), s)
		}
		for _, id := range row {
			if id < 0 || int(id) >= r.model.Vocab {
				return nil, usererr.New("row %d has id %d; the model knows 0 to %d", i+1, id, r.model.Vocab-1)
			}
		}
		readings[i].IDs = row
		windows[i] = r.windows().Whole(i, row)
	}
	err := r.read(ctx, windows, readings)
	return r.asked(readings), err
}

// windows is how texts are cut: each window [CLS] … [SEP], half a window on from the one before.
func (r *Reader) windows() data.Windows {
	return data.Windows{SeqLen: r.model.Config.Data.SeqLen, Special: r.special, Closed: true, Overlap: true}
}

// read fills readings from windows.
func (r *Reader) read(ctx context.Context, windows []data.Window, readings []Reading) error {
	s := r.model.Config.Data.SeqLen
	for first := 0; first < len(windows); first += readerBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		here := windows[first:min(first+readerBatch, len(windows))]
		tokens := make([]int32, readerBatch*s)
		for i := range readerBatch {
			copy(tokens[i*s:], here[min(i, len(here)-1)].Tokens)
		}
		if r.exits != nil {
			if err := r.readEarly(readings, here, tokens); err != nil {
				return err
			}
			continue
		}
		out, err := r.exec.Call(tensors.FromFlatDataAndDimensions(tokens, readerBatch, s))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := r.fill(readings, here, out); err != nil {
			return err
		}
	}
	return nil
}

// fill copies what the model said of the tokens that each window answers for.
func (r *Reader) fill(readings []Reading, windows []data.Window, out []*tensors.Tensor) error {
	s, k := r.model.Config.Data.SeqLen, r.guessed
	for o := 0; o < len(out); o++ {
		name := r.names[o]
		values, err := tensors.CopyFlatData[float32](out[o])
		if err != nil {
			return fmt.Errorf("read the answers: %w", err)
		}
		if err := weights.Finite(values); err != nil {
			return usererr.New("%s answers with what is no number: of %s, %w", r.name, name, err)
		}
		var ids []int32
		if name == "corrections" || name == "generator" {
			o++
			if ids, err = tensors.CopyFlatData[int32](out[o]); err != nil {
				return fmt.Errorf("read the answers: %w", err)
			}
		}
		for i, w := range windows {
			reading := &readings[w.Text]
			for t := w.From; t < w.To; t++ {
				at := i*s + w.Place(t)
				switch name {
				case "rtd":
					set(&reading.RTDLogits, len(reading.IDs), t, values[at])
				case "hidden":
					h := len(values) / (readerBatch * s)
					set(&reading.Hidden, len(reading.IDs), t, values[at*h:(at+1)*h])
				case "corrections":
					set(&reading.Corrections, len(reading.IDs), t, guessesAt(values, ids, at, k))
				case "generator":
					if r.tokens == nil || reading.IDs[t] == r.special.MASK {
						set(&reading.Generator, len(reading.IDs), t, guessesAt(values, ids, at, k))
					}
				}
			}
		}
	}
	for _, t := range out {
		t.MustFinalizeAll()
	}
	return nil
}

// set writes element i of a slice of n, which it makes at the first call.
func set[T any](list *[]T, n, i int, value T) {
	if *list == nil {
		*list = make([]T, n)
	}
	(*list)[i] = value
}

func guessesAt(probs []float32, ids []int32, at, k int) []Guess {
	list := make([]Guess, k)
	for j := range list {
		list[j] = Guess{ids[at*k+j], probs[at*k+j]}
	}
	return list
}
