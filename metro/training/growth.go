// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/weights"
)

// growthOf is how a model grows into one of config c. What is drawn follows from the seed of the run, so that the growth, like
// all that a run begins with, is a function of its identity.
func growthOf(c metro.Config) grow.Options {
	g := c.Growth
	return grow.Options{Width: g.Width, Depth: g.Depth, Noise: g.Noise, RestartGenerator: g.RestartGenerator, Seed: c.Seed}
}

// mayGrow returns the user's error if c has p grow, and p cannot: into that shape, or without a loss that c does not allow.
func (p Pretrained) mayGrow(c metro.Config) error {
	if c.Growth.Width == metro.WidthNone {
		return nil
	}
	small := p.Model.Config
	o := growthOf(c)
	o.Seed = 0 // which every run has, whether it is drawn from or not
	if err := o.Idle(small, c); err != nil {
		return usererr.New("growth.width=%s: %s: %w", c.Growth.Width, p.Dir, err)
	}
	if notes := grow.Inexact(small, c); len(notes) > 0 && !c.Growth.Approximate {
		return usererr.New("growth.width=%s: %s, so that the function of %s is kept only nearly; change that, or set growth.approximate=true", c.Growth.Width, notes[0], p.Dir)
	}
	src, err := p.grown(c)
	if err != nil {
		return err
	}
	return src.Close()
}

// grown is [Pretrained.Source], grown into the shape of c if c asks for that.
func (p Pretrained) grown(c metro.Config) (weights.Source, error) {
	src, err := p.Source()
	if err != nil || c.Growth.Width == metro.WidthNone {
		return src, err
	}
	small := p.Model.Config
	own, err := weights.As(src, small, metro.Describe(small, p.Model.Vocab))
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	large, err := grow.Grow(own, c, growthOf(c))
	if err != nil {
		return nil, errors.Join(usererr.New("growth.width=%s: %w", c.Growth.Width, err), src.Close())
	}
	return large, nil
}
