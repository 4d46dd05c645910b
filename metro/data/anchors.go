// SPDX-License-Identifier: Apache-2.0

package data

import "math"

// Anchors are what guessing a hidden token from counts of the training split reaches on the validation split. A generator
// that is no better than the first has learned how frequent tokens are; one that beats the second knows more than neighbours.
type Anchors struct {
	Unigram     float64 // accuracy of the most frequent token
	UnigramLoss float64 // cross-entropy of the frequencies, nats
	Trigram     float64 // accuracy of the token that stood most often between the two neighbours, both of which are seen
}

// Anchors counts the first 4 Mi tokens of the training split.
func (d *Dataset) Anchors() (Anchors, error) {
	counts, err := d.Counts()
	if err != nil {
		return Anchors{}, err
	}
	between, after, err := d.likeliest()
	if err != nil {
		return Anchors{}, err
	}
	most := int32(0)
	for id, n := range counts.unigram {
		if n > counts.unigram[most] {
			most = int32(id)
		}
	}
	var a Anchors
	n := 0.0
	err = d.Validation.eachTriple(func(left, token, right int32) {
		if !d.Maskable(token) {
			return
		}
		n++
		if token == most {
			a.Unigram++
		}
		a.UnigramLoss -= math.Log((counts.unigram[token] + 1) / (counts.total + float64(d.Vocab)))
		guess, known := between[[2]int32{left, right}]
		if !known {
			guess, known = after[left]
		}
		if !known {
			guess = counted{id: most}
		}
		if guess.id == token {
			a.Trigram++
		}
	})
	n = max(n, 1)
	return Anchors{a.Unigram / n, a.UnigramLoss / n, a.Trigram / n}, err
}

// counted is a token and how often it was seen at a place.
type counted struct {
	id    int32
	count uint32
}

// likeliest finds the token that stands most often between two, and the one that stands most often after one; of equals, the
// lowest.
func (d *Dataset) likeliest() (between map[[2]int32]counted, after map[int32]counted, err error) {
	triples, pairs := map[[3]int32]uint32{}, map[[2]int32]uint32{}
	err = d.Train.eachTriple(func(left, token, right int32) {
		if d.Maskable(token) {
			triples[[3]int32{left, token, right}]++
			pairs[[2]int32{left, token}]++
		}
	})
	between, after = map[[2]int32]counted{}, map[int32]counted{}
	for t, n := range triples {
		place := [2]int32{t[0], t[2]}
		between[place] = between[place].or(t[1], n)
	}
	for p, n := range pairs {
		after[p[0]] = after[p[0]].or(p[1], n)
	}
	return between, after, err
}

func (c counted) or(id int32, count uint32) counted {
	if count > c.count || count == c.count && id < c.id {
		return counted{id, count}
	}
	return c
}

// eachTriple calls visit with each token that has a neighbour on either side in its row.
func (r *Rows) eachTriple(visit func(left, token, right int32)) error {
	row := make([]int32, r.SeqLen)
	for i := range min(r.Len(), countedTokens/r.SeqLen) {
		if err := r.Read(i, row); err != nil {
			return err
		}
		for k := 1; k+1 < len(row); k++ {
			visit(row[k-1], row[k], row[k+1])
		}
	}
	return nil
}
