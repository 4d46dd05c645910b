// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Diagnosis says how far a run's discriminator has come, and what stands in its way.
type Diagnosis struct {
	Findings []Finding
	Advice   []Advice // what to change, the likeliest first; none for a run that learns
}

// Finding is one thing that was looked at.
type Finding struct {
	What    string
	Here    string // of the run; empty where it was not recorded
	Against string // what it is held against
	State   State
	Says    string
}

// State is how a finding is.
type State string

// The states.
const (
	Fine    State = "fine"
	Watch   State = "watch"
	Bad     State = "bad"
	Unknown State = "unknown"
)

// Advice is a change, and what speaks for it.
type Advice struct {
	Set    string // what to change, as --set takes it or in words
	Why    string
	Backed string // the section of docs/results.md whose runs show it; empty where no run in the docs does
}

const (
	nothingLearned = 0.98 // RTD loss over the majority class's entropy: knowing how frequent tokens are gives 0.984 in tiny
	littleLearned  = 0.95
	leastOdds      = 1.2  // generator's accuracy over the most frequent token's, below which it knows frequencies alone
	fewReplaced    = 0.35 // replaced over masked tokens, below which the main model sees few fakes
)

// Diagnose looks at the log and the config of a pretraining run, finished or not. anchors are those of its text; nil where that
// is not at hand.
func Diagnose(config metro.Config, rows []runs.Row, result training.Result, anchors *data.Anchors) Diagnosis {
	d := diagnosis{config: config, rows: rows, anchors: anchors}
	d.diverged(result)
	d.rtd()
	d.plateau()
	d.generator()
	d.replaced()
	d.gradients()
	d.tables()
	return d.Diagnosis
}

type diagnosis struct {
	Diagnosis
	config  metro.Config
	rows    []runs.Row
	anchors *data.Anchors
}

// last is the latest value of a metric on the validation split or, where there is none, on the training text; NaN if neither
// was recorded.
func (d *diagnosis) last(key string) float64 {
	for _, k := range []string{training.Validation + key, key} {
		if _, values := runs.Curve(d.rows, k); len(values) > 0 {
			return values[len(values)-1]
		}
	}
	return math.NaN()
}

func (d *diagnosis) find(what string, here float64, format, against string, state State, says string) {
	f := Finding{What: what, Against: against, State: state, Says: says}
	if math.IsNaN(here) {
		f.State, f.Says = Unknown, "not recorded: "+d.config.Objective.Name+" may have no such part"
	} else {
		f.Here = fmt.Sprintf(format, here)
	}
	d.Findings = append(d.Findings, f)
}

func (d *diagnosis) advise(set, why, backed string) {
	if !slices.ContainsFunc(d.Advice, func(a Advice) bool { return a.Set == set }) {
		d.Advice = append(d.Advice, Advice{set, why, backed})
	}
}

func (d *diagnosis) diverged(result training.Result) {
	if result.Diverged != "" {
		d.Findings = append(d.Findings, Finding{What: "end", Here: "diverged", State: Bad, Says: result.Diverged})
		d.advise(fmt.Sprintf("optimizer.learning_rate=%g", d.config.Optimizer.LearningRate/2), "it diverged", "")
	}
}

// majorityEntropy is the loss of a discriminator that knows how many tokens are replaced, and nothing else.
func majorityEntropy(replaced float64) float64 {
	if replaced <= 0 || replaced >= 1 {
		return 0
	}
	return -replaced*math.Log(replaced) - (1-replaced)*math.Log1p(-replaced)
}

func (d *diagnosis) rtd() {
	loss, replaced := d.last("rtd_loss"), d.last("replaced_fraction")
	ratio := loss / majorityEntropy(replaced)
	state, says := Fine, "tells replaced from original tokens"
	switch {
	case ratio >= nothingLearned:
		state, says = Bad, "no better than calling every token original, or rare ones replaced"
		d.leavePlateau()
	case ratio >= littleLearned:
		state, says = Watch, "hardly better than calling every token original"
		d.leavePlateau()
	}
	against := ""
	if finite(ratio) {
		against = fmt.Sprintf("%.4f, entropy of %.1f %% replaced", majorityEntropy(replaced), 100*replaced)
	}
	d.find("RTD loss", loss, "%.4f", against, state, says)
	auc := d.last("rtd_auc")
	state, says = Fine, "ranks replaced tokens above originals"
	if auc < 0.55 {
		state, says = Bad, "guesses"
	}
	d.find("RTD AUC, own generator", auc, "%.3f", "0.5, guessing", state, says)
}

// leavePlateau advises what brings a model over the plateau where it knows frequencies alone.
func (d *diagnosis) leavePlateau() {
	c := d.config
	if c.Positions.Relative == metro.RelativeNone {
		d.advise("positions.relative="+metro.RelativeSignedLog, "without a relative bias tiny stays near guessing", "The quickstart study")
	}
	if rows := c.Training.BatchSize; rows > 1 {
		d.advise(fmt.Sprintf("training.batch_size=%d training.steps=%d", (rows+1)/2, 2*c.Training.Steps), "steps bring a model over its plateau, more than rows do", "tiny learns")
	}
	if c.Optimizer.ClipNorm > 0 && d.clipped() > 0.5 {
		d.advise("optimizer.clip_norm=0", "most steps are cut; of two seeds of tiny it helped one", "tiny learns")
	}
	if c.Positions.Relative != metro.RelativeNone && c.Positions.Scale <= 1 && c.Training.Steps < 20_000 {
		d.advise("positions.scale=200", "the relative table moves by about a learning rate a step, which is slow in a short run", "")
	}
	if c.Objective.GeneratorHead == metro.GeneratorHeadNorm && c.Training.Steps < 20_000 {
		d.advise("objective.generator_head="+metro.GeneratorHeadPlain, "in short runs the generator leaves its plateau sooner", "")
	}
}

// plateau says when the discriminator last did no better than the majority class.
func (d *diagnosis) plateau() {
	left, seen := 0, 0
	for _, row := range d.rows {
		loss, known := row.Values["rtd_loss"]
		entropy := majorityEntropy(row.Values["replaced_fraction"])
		if !known || entropy == 0 {
			continue
		}
		if seen = row.Step; loss >= nothingLearned*entropy {
			left = 0
		} else if left == 0 {
			left = row.Step
		}
	}
	f := Finding{What: "plateau", Against: fmt.Sprintf("%d steps", d.config.Training.Steps), State: Fine}
	switch {
	case seen == 0:
		f.State, f.Says = Unknown, "no RTD loss was recorded"
	case left == 0:
		f.Here, f.State, f.Says = "not left", Bad, fmt.Sprintf("still there at step %d", seen)
		d.leavePlateau()
	case left > d.config.Training.Steps/2:
		f.Here, f.State, f.Says = fmt.Sprintf("left at step %d", left), Watch, "left so late that little time was left to learn"
		d.leavePlateau()
	default:
		f.Here, f.Says = fmt.Sprintf("left at step %d", left), "left in time"
	}
	d.Findings = append(d.Findings, f)
}

func (d *diagnosis) generator() {
	accuracy := d.last("generator_accuracy")
	if d.anchors == nil {
		d.find("generator accuracy", accuracy, "%.3f", "", Unknown, "its text is not at hand to hold it against")
		return
	}
	a := *d.anchors
	against := fmt.Sprintf("%.3f most frequent token, %.3f trigrams", a.Unigram, a.Trigram)
	state, says := Fine, "knows more than neighbouring tokens tell"
	switch {
	case accuracy < leastOdds*a.Unigram:
		state, says = Bad, "knows how frequent tokens are and no more, so that its fakes are random"
		d.leavePlateau()
	case accuracy < a.Trigram:
		says = "knows more than frequencies, less than neighbouring tokens tell"
	}
	d.find("generator accuracy", accuracy, "%.3f", against, state, says)
}

func (d *diagnosis) replaced() {
	replaced := d.last("replaced_fraction")
	state, says := Fine, "enough fakes to learn from"
	if replaced < fewReplaced*d.config.Masking.Rate {
		state, says = Watch, "the generator is right so often that few fakes are left; it may be too good, or have become so too quickly"
		d.advise("generator.size=narrow_quarter", "a weaker generator leaves more fakes; half the width of tiny's is undecided in the docs", "The quickstart study")
		d.advise("optimizer.groups=generator: lr=0.5", "a generator that becomes good more slowly; metro claims run C6 asks the opposite", "")
		d.advise("masking.rate=0.25", "more masked tokens, as ELECTRA's code has for its large model", "")
	}
	d.find("replaced tokens", 100*replaced, "%.1f %%", fmt.Sprintf("%.1f %% masked", 100*d.config.Masking.Rate), state, says)
}

// clipped is the part of the records whose mean gradient norm is above the clip.
func (d *diagnosis) clipped() float64 {
	_, norms := runs.Curve(d.rows, "gradient_norm")
	above := 0.0
	for _, norm := range norms {
		if norm > d.config.Optimizer.ClipNorm {
			above++
		}
	}
	return above / float64(max(1, len(norms)))
}

func (d *diagnosis) gradients() {
	const spike = 20
	_, norms := runs.Curve(d.rows, "gradient_norm")
	typical := median(norms[len(norms)*3/4:])
	state, says := Fine, "no spikes"
	against := "no clipping"
	if clip := d.config.Optimizer.ClipNorm; clip > 0 {
		against = fmt.Sprintf("clipped to %g", clip)
		if share := d.clipped(); share > 0.9 {
			says = fmt.Sprintf("no spikes; %.0f %% of the records are above the clip", 100*share)
		}
	}
	if len(norms) > 0 && slices.Max(norms[len(norms)/4:]) > spike*typical {
		state, says = Watch, fmt.Sprintf("spikes of more than %d times that after the first quarter", spike)
		d.advise(fmt.Sprintf("optimizer.learning_rate=%g", d.config.Optimizer.LearningRate/2), "gradients spike", "")
	}
	d.find("gradient norm, last quarter", typical, "%.3g", against, state, says)
}

func (d *diagnosis) tables() {
	f := Finding{What: "tables", Here: cmp.Or(d.config.Sharing, metro.SharingNone), State: Fine, Says: "the generator's tables are the main model's"}
	switch resting := d.config.Replacements.Source != metro.SourceJoint; {
	case resting:
		f.Says = "no generator learns that could share any"
	case f.Here == metro.SharingNone:
		f.State, f.Says = Watch, "nothing is shared: the main model's table learns from its own losses alone"
		d.advise("sharing="+metro.SharingTokenPosition, "published: 84.3 against 83.6 without (ELECTRA, GLUE dev average); metro claims run C4 asks it here", "")
	case f.Here == metro.SharingGDES:
		f.Says = "the main model's tables are the generator's and a difference of its own"
	}
	if cosine := d.last("tie_cosine"); !math.IsNaN(cosine) {
		f.Against = fmt.Sprintf("cosine %.3f", cosine)
	}
	d.Findings = append(d.Findings, f)
}

// Learns says whether nothing that was looked at is bad.
func (d Diagnosis) Learns() bool {
	return !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.State == Bad })
}
