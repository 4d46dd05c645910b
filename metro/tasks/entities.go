// SPDX-License-Identifier: Apache-2.0

package tasks

import "strings"

// entity is a kind and its words, [first, end), of a sentence.
type entity struct {
	kind       string
	first, end int
}

// entitiesOf reads the entities of tags B-KIND, I-KIND and O, as seqeval's default mode does: an entity goes on while I-KIND of
// its kind follows, and I-KIND that follows nothing, or another kind, begins one too. Any other tag is one of that kind by
// itself, as B-tag would be.
func entitiesOf(tags []string) (list []entity) {
	before, kindBefore := "O", ""
	for i, tag := range tags {
		prefix, kind := splitTag(tag)
		if prefix != "O" && (prefix == "B" || before == "O" || kind != kindBefore) {
			list = append(list, entity{kind, i, i + 1})
		} else if prefix != "O" {
			list[len(list)-1].end = i + 1
		}
		before, kindBefore = prefix, kind
	}
	return list
}

// splitTag is B, I or O, and the kind.
func splitTag(tag string) (prefix, kind string) {
	if prefix, kind, ok := strings.Cut(tag, "-"); ok && (prefix == "B" || prefix == "I") {
		return prefix, kind
	}
	if tag == "O" || tag == "" {
		return "O", ""
	}
	return "B", tag
}

// found counts entities.
type found struct{ right, predicted, truth float64 }

// entities counts those that are right as a whole: the same words, the same kind.
func entities(truth, predicted [][]string) (f found) {
	for i := range truth {
		there := map[entity]bool{}
		for _, e := range entitiesOf(truth[i]) {
			there[e] = true
			f.truth++
		}
		for _, e := range entitiesOf(predicted[i]) {
			f.predicted++
			if there[e] {
				f.right++
			}
		}
	}
	return f
}

func (f found) precision() float64 { return part(f.right, f.predicted) }
func (f found) recall() float64    { return part(f.right, f.truth) }
func (f found) f1() float64        { return part(2*f.right, f.predicted+f.truth) }
