// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// origins are the trained models that a config takes weights from.
type origins struct {
	first  *Pretrained // training.init_from
	frozen *Pretrained // replacements.checkpoint
	stored *stored     // replacements.checkpoint of what was drawn before
	trunk  *Trunk      // training.fork
}

// loadOrigins looks at the folders that c names. Models that read text with different tokenizers cannot be put together.
func loadOrigins(c metro.Config) (o origins, err error) {
	load := func(path, dir string) (*Pretrained, error) {
		if dir == "" {
			return nil, nil
		}
		p, err := LoadPretrained(dir)
		if err != nil {
			return nil, usererr.New("%s: %w", path, err)
		}
		return &p, nil
	}
	if o.first, err = load("training.init_from", c.Training.InitFrom); err != nil {
		return o, err
	}
	if o.first != nil {
		if err := errors.Join(o.first.NeedPlain(), o.first.mayGrow(c)); err != nil {
			return o, usererr.New("training.init_from: %w", err)
		}
	}
	if c.Replacements.Source == metro.SourceStored {
		o.stored, err = loadStored(c.Replacements.Checkpoint)
	} else {
		o.frozen, err = load("replacements.checkpoint", c.Replacements.Checkpoint)
	}
	if err != nil {
		return o, err
	}
	if own := o.drawnBy(); o.first != nil && own != nil && o.first.Tokenizer.Hash() != own.Hash() {
		return o, usererr.New("training.init_from %s and replacements.checkpoint %s have different tokenizers; both models must read the same tokens",
			o.first.Dir, c.Replacements.Checkpoint)
	}
	return o, nil
}

// drawnBy is the tokenizer of what samples are drawn by, if that was trained before; else nil.
func (o origins) drawnBy() tokens.Tokenizer {
	switch {
	case o.frozen != nil:
		return o.frozen.Tokenizer
	case o.stored != nil:
		return o.stored.tokenizer
	}
	return nil
}

// tokenizer returns the one that came with the weights, or nil.
func (o origins) tokenizer() tokens.Tokenizer {
	if o.first != nil {
		return o.first.Tokenizer
	}
	return o.drawnBy()
}

// vocab returns the size of the tables that the weights come in, which may be larger than the tokenizer; 0 if there are none.
func (o origins) vocab() int {
	for _, p := range []*Pretrained{o.first, o.frozen} {
		if p != nil {
			return p.Model.Vocab
		}
	}
	if o.stored != nil {
		return o.stored.Vocab
	}
	return 0
}

// hashes names the weights by their content, for a run's identity.
func (o origins) hashes() (map[string]string, error) {
	var hashes map[string]string
	add := func(path, hash string) {
		if hashes == nil {
			hashes = map[string]string{}
		}
		hashes[path] = hash
	}
	for path, p := range map[string]*Pretrained{"training.init_from": o.first, "replacements.checkpoint": o.frozen} {
		if p == nil {
			continue
		}
		hash, err := p.Hash()
		if err != nil {
			return nil, err
		}
		add(path, hash)
	}
	if o.stored != nil {
		add("replacements.checkpoint", o.stored.Hash)
	}
	if o.trunk != nil {
		add(forkPath, o.trunk.Hash)
	}
	return hashes, nil
}

// apply puts the weights of the origins over the first values that a program has drawn.
func (o origins) apply(p *Program) error {
	if o.first != nil {
		err := o.first.start(p.store, p.model.Config, p.weights.Learning(), mainAlone)
		if err == nil && p.model.Config.TakesMoments() {
			err = o.first.handOver(p)
		}
		if err != nil {
			return usererr.New("training.init_from: %w", err)
		}
	}
	if o.frozen != nil {
		const advice = "; name the folder of a run that trained one"
		asItIs := p.model.Config
		asItIs.Growth = metro.Growth{} // which is of training.init_from
		if err := o.frozen.start(p.store, asItIs, p.weights.Of(metro.OwnerGenerator), advice); err != nil {
			return usererr.New("replacements.checkpoint: %w", err)
		}
	}
	return nil
}

// mainAlone explains why a main model alone is no start.
const mainAlone = ". A main model that learned to detect a trained generator's samples meets noise when its generator starts anew, " +
	"and at a pretraining learning rate unlearns what it knew before that generator is any good: " +
	"continue from the pair, or keep a trained generator (replacements.source=frozen with replacements.checkpoint), " +
	"or change the objective to one without a generator (objective.name=mlm, or replacements.source=unigram)"

// start sets the variables of wanted, weights of a model of config c, in store from p. Heads that p has no weights for keep
// their first values, as do differences of tables; everything else must be there. advice is what to do for want of a generator.
func (p Pretrained) start(store *model.Store, c metro.Config, wanted metro.Inventory, advice string) error {
	src, err := p.grown(c)
	if err != nil {
		return err
	}
	defer src.Close()
	held := weights.Held(src, wanted)
	generator := func(inv metro.Inventory) bool { return len(inv.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)) > 0 }
	if generator(wanted) && !generator(held) {
		return usererr.New("%s has no generator%s", p.Dir, advice)
	}
	there := held.ByPath()
	return weights.Restore(store, src, c, wanted.Where(func(w metro.Weight) bool {
		_, ok := there[w.Path()]
		return ok || w.Owner == metro.OwnerGenerator || w.Head == "" && !w.Difference
	}))
}
