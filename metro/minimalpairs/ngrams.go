// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"context"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// NGrams are the counts of tokens in a text, and of what stands before them, as far as some sentences ask for them: memory does
// not grow with the text.
type NGrams struct {
	tokenizer tokens.Tokenizer
	start     ngram         // what stands before a sentence: [SEP], as before a document of the stream
	place     map[ngram]int // of pairs and triples that are asked for, in counts
	counts    []float64     // of these
	single    []float64     // of each token
	total     float64       // tokens of the text
}

// ngram is up to three tokens in a row, the last one in the lowest bits, each as 1 + its id; 0 stands for no token.
type ngram uint64

const tokenBits = 21

func (g ngram) next(id int32) ngram { return (g<<tokenBits | ngram(id+1)) & (1<<(3*tokenBits) - 1) }
func (g ngram) last(n int) ngram    { return g & (1<<(n*tokenBits) - 1) }
func (g ngram) before() ngram       { return g >> tokenBits } // what stands before the last token
func (g ngram) token() int          { return int(g.last(1)) - 1 }

// CountTokens counts what sentences ask for in the training split of a corpus that t has made into tokens. The function progress,
// which may be nil, hears of the tokens done.
func CountTokens(ctx context.Context, files tokens.Tokenized, t tokens.Tokenizer, sentences []string, progress func(done, total int)) (*NGrams, error) {
	if most := 1<<tokenBits - 1; t.VocabSize() > most {
		return nil, usererr.New("the tokenizer has %d tokens, and no more than %d are counted; leave the anchors out with --corpus none", t.VocabSize(), most)
	}
	c := &NGrams{tokenizer: t, start: ngram(0).next(t.Special().SEP), place: map[ngram]int{}, single: make([]float64, t.VocabSize())}
	for _, sentence := range sentences {
		for _, g := range c.of(sentence) {
			for _, asked := range []ngram{g, g.last(2)} {
				if _, known := c.place[asked]; !known {
					c.place[asked] = len(c.counts)
					c.counts = append(c.counts, 0)
				}
			}
		}
	}
	stream, err := tokens.OpenStream(files.Paths[text.Train], t.VocabSize())
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return c, c.add(ctx, stream, progress)
}

// of lists the trigrams of a sentence.
func (c *NGrams) of(sentence string) []ngram {
	ids := c.tokenizer.EncodeIDs(nil, sentence)
	tokens.Plain(c.tokenizer, ids)
	list, g := make([]ngram, len(ids)), c.start
	for i, id := range ids {
		g = g.next(id)
		list[i] = g
	}
	return list
}

// add counts a stream.
func (c *NGrams) add(ctx context.Context, stream *tokens.Stream, progress func(done, total int)) error {
	const atOnce = 1 << 16
	g := c.start.next(c.tokenizer.Special().SEP) // no triple of a sentence begins so
	ids := make([]int32, atOnce)
	for at := 0; at < stream.Len(); at += atOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		ids = ids[:min(atOnce, stream.Len()-at)]
		if err := stream.Read(ids, at); err != nil {
			return err
		}
		for _, id := range ids {
			g = g.next(id)
			c.single[id]++
			if i, asked := c.place[g.last(2)]; asked { // a triple is asked for only where its pair is
				c.counts[i]++
				if i, asked := c.place[g]; asked {
					c.counts[i]++
				}
			}
		}
		c.total += float64(len(ids))
		if progress != nil {
			progress(at+len(ids), stream.Len())
		}
	}
	return nil
}

// count is how often an n-gram that was asked for was seen.
func (c *NGrams) count(g ngram) float64 {
	if g == g.last(1) {
		return c.single[g.token()]
	}
	return c.counts[c.place[g]]
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

func (c *NGrams) unigram(g ngram) float64 { return (c.single[g.token()] + 0.5) / (c.total + 1) }

func (c *NGrams) trigram(g ngram) float64 {
	const k = 5.0
	two := g.last(2)
	p := (c.count(two) + k*c.unigram(g)) / (c.count(two.before()) + k)
	if g == two {
		return p
	}
	return (c.count(g) + k*p) / (c.count(g.before()) + k)
}
