// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// pair is one measurement of metrolab and the one of the peer that followed it.
type pair struct {
	Metrolab cost    `json:"metrolab"`
	Peer     cost    `json:"peer"`
	Load     float64 `json:"load"` // of the machine before it, over a minute
}

// comparison is a peer beside metrolab at one shape.
type comparison struct {
	Time   time.Time          `json:"time"`
	Shape  string             `json:"shape"`
	Name   string             `json:"peer"`
	Tokens int                `json:"tokens"` // of one measurement of either
	Steps  int                `json:"steps"`  // of one measurement of either
	Pairs  []pair             `json:"pairs"`
	Mine   about              `json:"metrolab"`
	Theirs about              `json:"theirs"`
	Last   map[string]float64 `json:"last_loss"` // of the peer, at the end
	Memory struct {           // most that each process had, compilation included, in bytes
		Metrolab int `json:"metrolab"`
		Peer     int `json:"peer"`
	} `json:"peak_memory"`
	Failure string `json:"failure,omitempty"` // why there is nothing else
}

// session measures peers at shapes.
type session struct {
	scripts, environments, logs string
	pairs                       int
	said                        func(format string, args ...any)
	done                        func(c comparison) error // is given each comparison
}

// shape measures the peers that can do a shape, each beside a metrolab that stays in its place. What a peer cannot do is its
// comparison's failure; what metrolab cannot, an error.
func (m session) shape(ctx context.Context, s shape, chosen []peer) error {
	dir, err := s.makeTask(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx) // and with it whatever still runs
	defer end()
	mine, err := start(ctx, filepath.Join(m.logs, s.name+"-metrolab.log"), nil, self, "-work", s.name, "-task", dir)
	if err != nil {
		return fmt.Errorf("metrolab at %s: %w", s.name, err)
	}
	m.said("%s: metrolab is warm: %s", s.name, parts(mine.about.Losses[0]))
	for _, p := range chosen {
		c := comparison{Shape: s.name, Name: p.name, Steps: s.steps, Mine: mine.about, Tokens: s.steps * mine.about.tokens(s)}
		theirs, err := p.start(ctx, m.scripts, dir, m.environments, filepath.Join(m.logs, s.name+"-"+p.name+".log"))
		if err == nil {
			c.Theirs = theirs.about
			m.said("%s: %s is warm: %s", s.name, p.name, parts(theirs.about.Losses[0]))
			err = m.compare(&c, mine, theirs)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.said("%s: %s: %v", s.name, p.name, err)
			c = comparison{Shape: s.name, Name: p.name, Failure: err.Error()}
		}
		c.Time = time.Now().UTC().Truncate(time.Second)
		if err := m.done(c); err != nil {
			return err
		}
		if c.Failure == "" {
			if err := theirs.stop(); err != nil {
				m.said("%s: %s, measured, at its end: %v", s.name, p.name, err)
			}
		}
	}
	return mine.stop()
}

// compare takes turns between the two.
func (m session) compare(c *comparison, mine, theirs *process) (err error) {
	for i := range m.pairs {
		p := pair{Load: load()}
		if p.Metrolab, _, err = mine.run(c.Steps); err != nil {
			return err
		}
		var a answer
		if p.Peer, a, err = theirs.run(c.Steps); err != nil {
			return err
		}
		c.Last = a.Loss
		c.Pairs = append(c.Pairs, p)
		m.said("%s: %s %d/%d: %.2f s beside %.2f s, of a processor %.2f s beside %.2f s, load %.1f", c.Shape, c.Name, i+1, m.pairs,
			p.Metrolab.Wall, p.Peer.Wall, p.Metrolab.Processor, p.Peer.Processor, p.Load)
	}
	if c.Memory.Metrolab, err = mine.peakMemory(); err != nil {
		return err
	}
	c.Memory.Peer, err = theirs.peakMemory()
	return err
}

// tokens is the number of tokens of a step.
func (a about) tokens(s shape) int {
	if s.recipe == "" {
		return int(a.Losses[0]["tokens"])
	}
	c, err := s.config()
	if err != nil {
		panic(err) // the process that says a has made the same config
	}
	return c.Training.BatchSize * c.Data.SeqLen
}
