// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/internal/safetensors"
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

// growing returns the configs that p grows from and to for a run of c. Both are without a generator if p has none, or the run trains none:
// what a config says of one then is nobody's.
func (p Pretrained) growing(c metro.Config) (from, to metro.Config, err error) {
	from, to = p.Model.Config, c
	src, err := p.Source()
	if err != nil {
		return from, to, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	trains, _ := c.Inventory(p.Model.Vocab)
	for _, inv := range []metro.Inventory{weights.All(src), trains.Learning()} {
		if len(inv.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)) == 0 {
			from.Generator, to.Generator = metro.Encoder{}, metro.Encoder{}
			from.Objective.GeneratorHead, from.Sharing = to.Objective.GeneratorHead, to.Sharing
		}
	}
	return from, to, nil
}

// mayGrow returns the user's error if c has p grow, and p cannot: into that shape, or without a loss that c does not allow.
func (p Pretrained) mayGrow(c metro.Config) error {
	if c.Growth.Width == metro.WidthNone {
		return nil
	}
	small, large, err := p.growing(c)
	if err != nil {
		return err
	}
	o := growthOf(c)
	o.Seed = 0 // which every run has, whether it is drawn from or not
	if err := o.Idle(small, large); err != nil {
		return usererr.New("growth.width=%s: %s: %w", c.Growth.Width, p.Dir, err)
	}
	if notes := grow.Inexact(small, large); len(notes) > 0 && !c.Growth.Approximate {
		return usererr.New("growth.width=%s: %s, so that the function of %s is kept only nearly; change that, or set growth.approximate=true", c.Growth.Width, notes[0], p.Dir)
	}
	if c.TakesMoments() {
		if err := p.hasMoments(c); err != nil {
			return usererr.New("growth.optimizer=%s: %w; set growth.optimizer=%s", c.Growth.Optimizer, err, metro.OptimizerReset)
		}
	}
	src, err := p.grown(c)
	if err != nil {
		return err
	}
	return src.Close()
}

// hasMoments returns the user's error if p has no moments that could become those of a run of c.
func (p Pretrained) hasMoments(c metro.Config) error {
	if !p.IsRun() {
		return usererr.New("%s holds weights alone, and nothing of what an optimizer remembers", p.Dir)
	}
	for _, of := range []metro.Config{p.Identity.Config, c} {
		if name := of.Optimizer.Name; name != metro.OptimizerAdamW {
			return usererr.New("what optimizer.name=%s remembers is not mapped, only what %s does", name, metro.OptimizerAdamW)
		}
		if of.Training.GeneratorSteps > 0 {
			return usererr.New("in two stages (training.generator_steps=%d) the models have moments of unlike ages, which are not mapped", of.Training.GeneratorSteps)
		}
	}
	for _, owner := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		if _, ok := c.Experts(owner); ok {
			return usererr.New("the gradients of experts are not shares of one map's, so that moments are not mapped to them")
		}
	}
	return nil
}

// handOver sets the moments of a program's weights to those of p, mapped by [grow.Moments] and corrected for their bias as of p's last
// step. What p has no moments of keeps none.
func (p Pretrained) handOver(program *Program) error {
	c := program.model.Config
	large, err := p.grown(c)
	if err != nil {
		return err
	}
	defer large.Close()
	file, err := safetensors.Open(p.variables)
	if err != nil {
		return usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	rates := Rates(p.Identity.Config, p.Step) // those of both models are alike without two stages
	grown := weights.Shapes(large)
	for _, w := range learning(program.store, program.weights) {
		if _, ok := grown[w.Tensor()]; !ok {
			continue
		}
		for i, moment := range []struct {
			name       string
			power      float64
			correction float32
		}{{"m", 1, rates[1]}, {"v", 2, rates[2]}} {
			missing := false
			values, err := grow.Moments(large, w.Tensor(), moment.power, func(tensor string, dst []float32) error {
				name := metro.OptimizerAdamW + "." + moment.name + "." + tensor
				if _, ok := file.Lookup(name); !ok {
					missing = true // it did not learn there
					return nil
				}
				return file.ReadFloats(name, dst)
			})
			if err != nil {
				return err
			}
			if values == nil || missing {
				continue
			}
			for k := range values {
				values[k] *= moment.correction
			}
			variable := states(program.store, w, c)[i]
			if err := variable.SetValue(tensors.FromFlatDataAndDimensions(values, variable.Shape().Dimensions...)); err != nil {
				return fmt.Errorf("set %s: %w", variable.Path(), err)
			}
		}
	}
	return nil
}

// grown is [Pretrained.Source], grown into the shape of c if c asks for that.
func (p Pretrained) grown(c metro.Config) (weights.Source, error) {
	src, err := p.Source()
	if err != nil || c.Growth.Width == metro.WidthNone {
		return src, err
	}
	small, to, err := p.growing(c)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	own, err := weights.As(src, small, metro.Describe(small, p.Model.Vocab))
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	large, err := grow.Grow(own, to, growthOf(c))
	if err != nil {
		return nil, errors.Join(usererr.New("growth.width=%s: %w", c.Growth.Width, err), src.Close())
	}
	return large, nil
}
