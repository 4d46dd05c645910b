// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readSQuAD reads SQuAD 1.1 and 2.0. Where an answer begins is counted in characters there.
func readSQuAD(path string, _ Spec, bad *badRows, visit func(item)) error {
	var file struct {
		Data []struct {
			Paragraphs []struct {
				Context string
				QAs     []struct {
					ID         string
					Question   string
					Impossible bool `json:"is_impossible"`
					Answers    []struct {
						Text  string
						Start int `json:"answer_start"`
					}
				}
			}
		}
	}
	if err := readJSON(path, &file); err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, article := range file.Data {
		for _, p := range article.Paragraphs {
			bytes := byteOf(p.Context)
			for _, q := range p.QAs {
				bad.rows++
				i := item{path: path, text: p.Context, pair: q.Question, group: q.ID}
				var err error
				for _, a := range q.Answers {
					if q.Impossible { // SQuAD 2 has plausible answers apart
						break
					}
					start, ok := bytes(a.Start)
					if ok && strings.TrimSpace(a.Text) == "" {
						err = fmt.Errorf("question %s: an answer is empty", q.ID)
						break
					}
					if !ok || !strings.HasPrefix(p.Context[start:], a.Text) {
						err = fmt.Errorf("question %s: the answer %q does not stand at character %d of its text of %d", q.ID, a.Text, a.Start, utf8.RuneCountInString(p.Context))
						break
					}
					i.answers = append(i.answers, Answer{a.Text, start})
				}
				switch {
				case err != nil:
				case strings.TrimSpace(q.Question) == "":
					err = fmt.Errorf("question %s is empty", q.ID)
				case strings.TrimSpace(p.Context) == "":
					err = fmt.Errorf("question %s: its text is empty", q.ID)
				case q.ID != "" && asked[q.ID]:
					err = fmt.Errorf("there are two questions of the id %s", q.ID)
				}
				asked[q.ID] = true
				if err != nil {
					bad.add(path, bad.rows, err)
					continue
				}
				visit(i)
			}
		}
	}
	return nil
}

// byteOf says at which byte of a text a character stands.
func byteOf(text string) func(char int) (int, bool) {
	var at []int
	for i := range text {
		at = append(at, i)
	}
	return func(char int) (int, bool) {
		if char < 0 || char >= len(at) {
			return 0, false
		}
		return at[char], true
	}
}

// asciiPunctuation is Python's string.punctuation.
const asciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// normalAnswer is the form in which SQuAD's official evaluations compare answers: in lower case, without ASCII punctuation and
// then without articles, and what is left joined by one space.
func normalAnswer(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(asciiPunctuation, r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	return strings.Join(strings.Fields(withoutArticles(text)), " ")
}

// withoutArticles puts a space in the place of words a, an and the; a word is a run of letters, numbers and _, as in Python's
// regular expressions.
func withoutArticles(text string) string {
	var kept strings.Builder
	for rest := text; rest != ""; {
		end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' })
		switch {
		case end == 0:
			_, n := utf8.DecodeRuneInString(rest)
			kept.WriteString(rest[:n])
			rest = rest[n:]
			continue
		case end < 0:
			end = len(rest)
		}
		if word := rest[:end]; slices.Contains([]string{"a", "an", "the"}, word) {
			kept.WriteByte(' ')
		} else {
			kept.WriteString(word)
		}
		rest = rest[end:]
	}
	return kept.String()
}

// answerScores are exact match, 0 or 1, and F1 of an answer: the best over what is accepted. Where there is no answer, none
// is accepted. Accepted answers of which nothing is left are passed over, as in SQuAD 2.0's script.
func answerScores(accepted []Answer, predicted string) (exact, overlap float64) {
	texts := make([]string, 0, len(accepted))
	for _, a := range accepted {
		if normalAnswer(a.Text) != "" {
			texts = append(texts, a.Text)
		}
	}
	if len(texts) == 0 {
		texts = []string{""}
	}
	for _, text := range texts {
		if normalAnswer(text) == normalAnswer(predicted) {
			exact = 1
		}
		overlap = max(overlap, wordF1(text, predicted))
	}
	return exact, overlap
}

// wordF1 is the harmonic mean of precision and recall of the words of normal answers, as bags. If one has none, it is whether both
// have none.
func wordF1(truth, predicted string) float64 {
	a, b := strings.Fields(normalAnswer(truth)), strings.Fields(normalAnswer(predicted))
	if len(a) == 0 || len(b) == 0 {
		if len(a) == len(b) {
			return 1
		}
		return 0
	}
	counts := map[string]int{}
	for _, word := range a {
		counts[word]++
	}
	common := 0.0
	for _, word := range b {
		if counts[word] > 0 {
			counts[word]--
			common++
		}
	}
	return part(2*common, float64(len(a)+len(b)))
}
