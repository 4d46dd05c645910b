// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"log"
	"math"
	"strings"

	"github.com/dustin/go-humanize"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
)

// milestone is a number of words of text, and the first step after which a run has seen so many.
type milestone struct {
	words float64
	step  int
}

// milestones are those of training.word_milestones that a run of c reaches, in their order: 1, 2, … 9, 10, 20, … 90, 100, 200, …
// times that number of words. Those that the trunk of a fork has reached are the trunk's. A step is counted with the mean words of
// its rows (see [data.Dataset.WordsARow]): a function of text, tokenizer and config, so that a run that goes on keeps the same ones.
func milestones(c metro.Config, d *data.Dataset, trunk *Trunk) (list []milestone) {
	unit := float64(c.Training.WordMilestones)
	if unit == 0 || d == nil {
		return nil
	}
	before := 0
	if trunk != nil {
		before = trunk.Step
	}
	aStep := d.WordsARow() * float64(c.Training.BatchSize)
	for times, stride := 1.0, 1.0; ; times += stride {
		if times == 10*stride {
			stride = times
		}
		step := math.Ceil(times * unit / aStep)
		if step > float64(c.Training.Steps) {
			return list
		}
		if int(step) > before {
			list = append(list, milestone{times * unit, int(step)})
		}
	}
}

// sayMilestones says which steps have the checkpoints that stay.
func sayMilestones(list []milestone) {
	if len(list) == 0 {
		return
	}
	var said []string
	for _, m := range list {
		said = append(said, fmt.Sprintf("%s at step %d", humanize.Comma(int64(m.words)), m.step))
	}
	log.Printf("checkpoints that stay, by the words seen (a step's are the mean of its rows'): %s", strings.Join(said, ", "))
}

// reachesMilestone is the user's error for a run that keeps no checkpoint by its words, and should.
func reachesMilestone(c metro.Config, d *data.Dataset, trunk *Trunk) error {
	if c.Training.WordMilestones == 0 || len(milestones(c, d, trunk)) > 0 {
		return nil
	}
	seen := d.WordsARow() * float64(c.Training.BatchSize*c.Training.Steps)
	if trunk != nil {
		return usererr.New("training.word_milestones=%d has no checkpoint to keep: none of its numbers of words is reached between step %d, where the fork begins, and step %d, by which about %s words have been seen",
			c.Training.WordMilestones, trunk.Step, c.Training.Steps, humanize.Comma(int64(seen)))
	}
	return usererr.New("training.word_milestones=%d has no checkpoint to keep: the %d steps see about %s words; train more steps, or set it lower",
		c.Training.WordMilestones, c.Training.Steps, humanize.Comma(int64(seen)))
}
