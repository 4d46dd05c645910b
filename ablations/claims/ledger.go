// SPDX-License-Identifier: Apache-2.0

package claims

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"metrolab/ablations"
	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// Entry is what a claim's study has left at a variant: the contrast at each seed, from which verdicts follow, and what it took.
type Entry struct {
	Claim    string            `json:"claim"`
	Recipe   string            `json:"recipe"`
	Rate     string            `json:"rate,omitempty"`
	Plan     string            `json:"plan"` // hash of what was planned, equal to the one in the claim's file
	Outcome  string            `json:"outcome"`
	BySeed   map[int64]float64 `json:"by_seed"`            // the contrast
	Failed   []int64           `json:"failed,omitempty"`   // seeds at which an arm diverged
	Withheld string            `json:"withheld,omitempty"` // why there is no verdict
	Caution  string            `json:"caution,omitempty"`  // what speaks against the test
	Runs     int               `json:"runs"`
	Hours    float64           `json:"processor_hours"` // of all the study's runs, those that other claims share among them
	Machine  string            `json:"machine"`
	Backend  string            `json:"backend"`
	Commit   string            `json:"commit"`
	Date     string            `json:"date"`
}

func (e Entry) variant() Variant { return Variant{e.Recipe, e.Rate} }

// Ledger is the entries, one a claim and variant.
type Ledger []Entry

//go:embed ledger.json
var committed []byte

// Committed is the ledger of this version.
func Committed() (Ledger, error) { return parseLedger("ledger.json", committed) }

// ReadLedger reads a ledger's file. One that is not there is empty.
func ReadLedger(path string) (Ledger, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usererr.New("read the ledger: %w", err)
	}
	return parseLedger(path, text)
}

func parseLedger(path string, text []byte) (l Ledger, err error) {
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, usererr.New("%s is no ledger of claims: %w", path, err)
	}
	return l, nil
}

// Write writes the ledger's file, in the order of the claims.
func (l Ledger) Write(path string) error {
	l = append(Ledger{}, l...) // an empty one is a list too
	slices.SortStableFunc(l, func(a, b Entry) int {
		if c := compareIDs(a.Claim, b.Claim); c != 0 {
			return c
		}
		return strings.Compare(a.variant().String(), b.variant().String())
	})
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return atomicfile.WriteFile(path, append(text, '\n'))
}

// Ended parts the entries whose studies have ended from those that are under way. Of what is asked again, and is under way, the
// entry of before stays.
func (l Ledger) Ended(before Ledger) (ended, underWay Ledger) {
	for _, e := range l {
		if !strings.HasPrefix(e.Withheld, ablations.Interim) {
			ended = append(ended, e)
			continue
		}
		underWay = append(underWay, e)
		if old, there := before.Of(e.Claim, e.variant()); there {
			ended = append(ended, old)
		}
	}
	return ended, underWay
}

// With returns the ledger with an entry in the place of that of its claim and variant.
func (l Ledger) With(e Entry) Ledger {
	l = slices.DeleteFunc(slices.Clone(l), func(x Entry) bool { return x.Claim == e.Claim && x.variant() == e.variant() })
	return append(l, e)
}

// Of returns the entry of a claim at a variant, if there is one.
func (l Ledger) Of(claim string, v Variant) (Entry, bool) {
	i := slices.IndexFunc(l, func(e Entry) bool { return e.Claim == claim && e.variant() == v })
	if i < 0 {
		return Entry{}, false
	}
	return l[i], true
}

// otherPlan is why a study that was not planned as its claim says has no verdict.
const otherPlan = "another plan than the one that is committed"

// Entry is what the results of the claim's study at a variant say. There is no verdict in it where the plan is not the one
// whose hash the claim's file holds, or the study is not finished.
func (c Claim) Entry(v Variant, r ablations.Results) (Entry, error) {
	hash, err := c.Hash(r.Study)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Claim: c.ID, Recipe: v.Recipe, Rate: v.Rate, Plan: hash, Outcome: r.Study.Outcome.Metric, BySeed: map[int64]float64{}, Runs: r.Ended()}
	contrast, processor, err := c.contrast(r)
	if err != nil {
		return Entry{}, err
	}
	e.Withheld = contrast.Withheld
	for seed, value := range contrast.BySeed {
		if math.IsNaN(value) {
			e.Failed = append(e.Failed, seed)
		} else {
			e.BySeed[seed] = value
		}
	}
	slices.Sort(e.Failed)
	if hash != c.Preregistered[v.String()] {
		e.Withheld = otherPlan
	}
	var cautions []string
	for _, comparison := range r.Compare() {
		if _, weighed := c.Contrast[comparison.Name]; weighed && comparison.Caution != "" {
			cautions = append(cautions, comparison.Name+": "+comparison.Caution)
		}
	}
	e.Caution = strings.Join(cautions, "; ")
	e.Hours = processor / 3600
	e.describe(r)
	return e, nil
}

// describe adds what the runs took, and fills where and when they were made: that of the last.
func (e *Entry) describe(r ablations.Results) {
	var last time.Time
	for _, run := range r.Runs {
		if !run.Ended {
			continue
		}
		e.Hours += (run.Result.ProcessorSeconds - run.Result.ProcessorBefore) / 3600
		if run.Result.Run == nil {
			continue
		}
		attempts, err := run.Result.Run.Attempts()
		if err != nil || len(attempts) == 0 {
			continue
		}
		p := attempts[len(attempts)-1]
		if !p.Started.After(last) {
			continue
		}
		last = p.Started
		e.Machine, e.Date = fmt.Sprintf("%s, %d cores", p.CPU, p.Cores), p.Started.UTC().Format(time.DateOnly)
		e.Backend, e.Commit = strings.TrimSpace(p.Backend.Name+" "+p.Backend.Version), commitOf(p)
	}
	e.Hours = math.Round(e.Hours*100) / 100
}

func commitOf(p runs.Provenance) string {
	commit := p.Source.Commit[:min(7, len(p.Source.Commit))]
	if p.Source.Dirty {
		commit += ", changed"
	}
	return commit
}

// outcomes are the contrast as [ablations.Compare] takes it.
func (e Entry) outcomes() ablations.Outcomes {
	o := ablations.Outcomes{Name: e.Claim, BySeed: map[int64]float64{}, Withheld: e.Withheld}
	for seed, value := range e.BySeed {
		o.BySeed[seed] = value
	}
	for _, seed := range e.Failed {
		o.BySeed[seed] = math.NaN()
	}
	return o
}
