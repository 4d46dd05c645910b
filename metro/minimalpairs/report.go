// SPDX-License-Identifier: Apache-2.0

package minimalpairs

// Report is what scorers and anchors say of a set, as it is written down.
type Report struct {
	Data    DataInfo    `json:"data"`
	Models  []ModelInfo `json:"models"`
	Corpus  *CorpusInfo `json:"corpus,omitempty"` // that the anchors are counted in, if they are
	Scorers []Result    `json:"scorers"`          // of the models, then the anchors
}

// DataInfo says what was asked about.
type DataInfo struct {
	Source    string   `json:"source"`
	Hash      string   `json:"hash"` // of [Set]
	Paradigms int      `json:"paradigms"`
	Pairs     int      `json:"pairs"`
	Equal     int      `json:"equal"` // pairs of one sentence, which are ties
	Notes     []string `json:"notes,omitempty"`
}

// ModelInfo says who was asked.
type ModelInfo struct {
	Dir       string `json:"dir"`
	Step      int    `json:"step,omitempty"` // of a run's checkpoint
	Seed      int64  `json:"seed,omitempty"`
	Objective string `json:"objective,omitempty"`
	Long      int    `json:"long"`    // sentences that are longer than its rows
	Unknown   int    `json:"unknown"` // sentences of which it does not know all tokens
}

// CorpusInfo says what was counted.
type CorpusInfo struct {
	Source  string `json:"source"`
	Hash    string `json:"hash"`
	Trained bool   `json:"trained"` // it is the text that the model was trained on
}

// Result is what a scorer, or an anchor, says.
type Result struct {
	Name   string  `json:"name"`
	Anchor bool    `json:"anchor,omitempty"`
	Groups []Group `json:"groups"` // see [Aggregate]
}

// Describe says what the set is.
func (s *Set) Describe() DataInfo {
	return DataInfo{Source: s.Source, Hash: s.Hash, Paradigms: len(s.Paradigms), Pairs: s.Pairs(), Equal: s.Equal(), Notes: s.Notes}
}
