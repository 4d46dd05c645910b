// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"math"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// MixedText is a text that training reads beside that of data.corpus.
type MixedText struct {
	Corpus string // what data.corpus takes
	Field  string // what data.field takes, of this text
	Share  int    // rows of it among [MixtureBlock] rows of training
}

// MixtureBlock is the number of rows that hold each text of a mixture in its share, exactly: weights count in thousandths.
const MixtureBlock = 1000

// ParseMixture takes apart what data.mixture says: texts with commas between them, each as CORPUS=WEIGHT or, where the text is
// in a field of JSON objects or a column of Parquet, as CORPUS#FIELD=WEIGHT. A weight is the part of all rows, in thousandths;
// together they leave something to the text of data.corpus.
func ParseMixture(mixture string) ([]MixedText, error) {
	if mixture == "" {
		return nil, nil
	}
	var texts []MixedText
	rest := MixtureBlock
	for part := range strings.SplitSeq(mixture, ",") {
		at := strings.LastIndexByte(part, '=')
		if at <= 0 {
			return nil, usererr.New("data.mixture must be CORPUS=WEIGHT or CORPUS#FIELD=WEIGHT, with commas between texts, such as notes.txt=0.2; %q is not", part)
		}
		weight, err := strconv.ParseFloat(part[at+1:], 64)
		share := math.Round(weight * MixtureBlock)
		if err != nil || !(weight > 0 && weight < 1) || math.Abs(share-weight*MixtureBlock) > 1e-6 {
			return nil, usererr.New("data.mixture: the weight of %s must be above 0 and below 1, in thousandths, such as 0.25; it is %q", part[:at], part[at+1:])
		}
		corpus, field, _ := strings.Cut(part[:at], "#")
		texts = append(texts, MixedText{Corpus: corpus, Field: field, Share: int(share)})
		rest -= int(share)
	}
	if rest <= 0 {
		return nil, usererr.New("data.mixture: its weights are %g together, and must leave something to the text of data.corpus", 1-float64(rest)/MixtureBlock)
	}
	return texts, nil
}
