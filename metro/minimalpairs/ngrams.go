// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"context"

	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// NGrams are the counts of tokens in a text, and of what stands before them, as far as some sentences ask for them: memory does
// not grow with the text.
type NGrams struct {
	tokenizer tokens.Tokenizer
	count     map[ngram]float64
	total     float64 // tokens of the text
}

// ngram is up to three tokens in a row, the last one last, [none] in the place of those before.
type ngram [3]int32

const none = -1

// CountTokens counts in the training split of a corpus what sentences ask for. The token files are kept in cacheDir, and progress
// hears of making them; see [tokens.Tokenize].
func CountTokens(ctx context.Context, corpus *text.Corpus, t tokens.Tokenizer, sentences []string, cacheDir string, progress func(done, total int)) (*NGrams, error) {
	c := &NGrams{tokenizer: t, count: map[ngram]float64{}}
	for _, sentence := range sentences {
		for _, g := range c.of(sentence) {
			for _, asked := range []ngram{g, g.last(2), g.last(1), {none, none, g[1]}} { // its own counts, and that of the first token's context
				c.count[asked] = 0
			}
		}
	}
	files, err := tokens.Tokenize(ctx, corpus, t, cacheDir, progress)
	if err != nil {
		return nil, err
	}
	stream, err := tokens.OpenStream(files.Paths[text.Train], t.VocabSize())
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return c, c.add(ctx, stream)
}

// of lists the trigrams of a sentence, which has [SEP] before it, as a document has in the stream.
func (c *NGrams) of(sentence string) []ngram {
	ids := c.tokenizer.EncodeIDs(nil, sentence)
	tokens.Plain(c.tokenizer, ids)
	list := make([]ngram, len(ids))
	before := ngram{none, none, c.tokenizer.Special().SEP}
	for i, id := range ids {
		list[i] = ngram{before[1], before[2], id}
		before = list[i]
	}
	return list
}

// last leaves n tokens of an n-gram.
func (g ngram) last(n int) ngram {
	for i := range len(g) - n {
		g[i] = none
	}
	return g
}

// add counts a stream.
func (c *NGrams) add(ctx context.Context, stream *tokens.Stream) error {
	const atOnce = 1 << 16
	sep := c.tokenizer.Special().SEP
	before := ngram{none, sep, sep}
	for at := 0; at < stream.Len(); at += atOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		ids := make([]int32, min(atOnce, stream.Len()-at))
		if err := stream.Read(ids, at); err != nil {
			return err
		}
		for _, id := range ids {
			g := ngram{before[1], before[2], id}
			for n := 1; n <= len(g); n++ { // a longer one is asked for only where the shorter one is
				count, asked := c.count[g.last(n)]
				if !asked {
					break
				}
				c.count[g.last(n)] = count + 1
			}
			before = g
		}
		c.total += float64(len(ids))
	}
	return nil
}

// Unigram is the scorer Σ log p(x), p(x) = (c(x) + ½)/(N + 1): how frequent are the tokens, whatever their order?
func (c *NGrams) Unigram() Scorer { return anchor{ByUnigram, c.scorer(c.unigram)} }

// Trigram is the scorer Σ log p(x | a, b). Each probability is drawn towards that which looks at a token less, as if this had been
// seen k = 5 times more (Dirichlet smoothing):
//
//	p(x | a, b) = (c(abx) + k·p(x | b)) / (c(ab) + k)    p(x | b) = (c(bx) + k·p(x)) / (c(b) + k)
//
// It is the smoothing of [metrolab/metro/data.TrigramFaker], from the left alone.
func (c *NGrams) Trigram() Scorer { return anchor{ByTrigram, c.scorer(c.trigram)} }

func (c *NGrams) scorer(p func(ngram) float64) func(sentence string) float64 {
	return func(sentence string) float64 {
		var list []float64
		for _, g := range c.of(sentence) {
			list = append(list, p(g))
		}
		return sumOfLogs(list)
	}
}

func (c *NGrams) unigram(g ngram) float64 { return (c.count[g.last(1)] + 0.5) / (c.total + 1) }

func (c *NGrams) trigram(g ngram) float64 {
	const k = 5.0
	p := (c.count[g.last(2)] + k*c.unigram(g)) / (c.count[ngram{none, none, g[1]}] + k)
	if g[0] == none {
		return p
	}
	return (c.count[g] + k*p) / (c.count[ngram{none, g[0], g[1]}] + k)
}
