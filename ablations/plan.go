// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// PlanFile is the file of a study's folder that remembers its [Plan].
const PlanFile = "study.json"

// Plan is what a study's folder remembers, from before its first run on: enough to make its report again from the run
// store.
type Plan struct {
	Name     string  `json:"name"`
	Question string  `json:"question"`
	Recipe   string  `json:"recipe"`
	Outcome  Outcome `json:"outcome"`
	Seeds    []int64 `json:"seeds"`
	Margin   float64 `json:"margin,omitempty"`
	Until    bool    `json:"until_decided,omitempty"`
	Corpus   string  `json:"corpus,omitempty"` // content hash of the runner's text
	Arms     []Arm   `json:"arms"`
	Runs     []Run   `json:"runs"`
	Extra    Extra   `json:"extra"`

	Matching string           `json:"matching,omitempty"`
	Finetune *Finetuning      `json:"finetune,omitempty"`
	Fork     *Fork            `json:"fork,omitempty"`
	Sources  map[string]Spent `json:"sources,omitempty"` // see [Results.Sources]
	Planned  *Planned         `json:"planned,omitempty"`
}

// Planned is what was written down before the first run. The tests of [Compare] keep their rate of wrong verdicts for
// these seeds alone: who looks and then adds seeds, until there is a verdict, finds one too often.
type Planned struct {
	Seeds []int64   `json:"seeds"`
	Date  time.Time `json:"date"`
	Hash  string    `json:"hash"` // of the seeds, the arms, the outcome, the margin, the rule to stop and the fine-tuning
}

// Plan returns what [Load] needs.
func (r Results) Plan() Plan {
	s := r.Study
	return Plan{
		Name: s.Name, Question: s.Question, Recipe: s.Recipe, Outcome: s.Outcome, Seeds: s.Seeds, Margin: s.Margin, Until: s.UntilDecided, Corpus: r.Corpus,
		Arms: r.Arms, Runs: r.Runs, Extra: r.Extra, Matching: s.Matching, Finetune: s.Finetune, Fork: s.Fork, Sources: r.Sources, Planned: r.Planned,
	}
}

// ReadPlan reads the plan of a study's folder. One that is no study's is the user's error.
func ReadPlan(dir string) (plan Plan, err error) {
	path := filepath.Join(dir, PlanFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return plan, usererr.New("%s is not the folder of a study: it holds no %s", dir, PlanFile)
	}
	if err := runs.ReadJSON(path, &plan); err != nil {
		return plan, usererr.New("%w; move the file away, and the command that ran the study writes it again from the runs", err)
	}
	return plan, plan.check(path)
}

func (p Plan) check(path string) error {
	if len(p.Arms) == 0 {
		return usererr.New("%s names no arms: it is not a study's", path)
	}
	return nil
}

// planIn reads the plan of a folder that may hold none.
func planIn(dir string) (plan Plan, found bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, PlanFile)); errors.Is(err, fs.ErrNotExist) {
		return plan, false, nil
	}
	plan, err = ReadPlan(dir)
	return plan, err == nil, err
}

// Fits returns the user's error if dir holds the report of a study with other arms or another outcome, or with seeds that s
// has not: its report would be lost. An empty or missing folder fits, and so does one of the same study with fewer seeds.
// Whether the runs are the same, and so the text, [Study.Run] looks at.
func (s Study) Fits(dir string) error {
	arms, err := s.Arms()
	if err != nil {
		return err
	}
	return Results{Study: s, Arms: arms}.fits(dir)
}

func (r Results) fits(dir string) error {
	before, found, err := planIn(dir)
	if err != nil || !found {
		return err
	}
	if differs := r.Plan().differs(before); differs != "" {
		return usererr.New("%s holds the report of another study: %s; choose another --out, or move it away", dir, differs)
	}
	return nil
}

// differs says in what a plan is not that of the study that was there before; empty if it may take its place.
func (p Plan) differs(before Plan) string {
	for _, seed := range before.Seeds {
		if !slices.Contains(p.Seeds, seed) {
			return fmt.Sprintf("%d arms at seeds %v, and here seed %d is left out", len(before.Arms), before.Seeds, seed)
		}
	}
	if !slices.Equal(armTexts(p.Arms), armTexts(before.Arms)) {
		return fmt.Sprintf("%d other arms at seeds %v", len(before.Arms), before.Seeds)
	}
	if p.Outcome.Metric != before.Outcome.Metric || p.Outcome.Better != before.Outcome.Better {
		return fmt.Sprintf("it was planned on %q, and an outcome that is chosen afterwards decides nothing", before.Outcome.Metric)
	}
	switch {
	case p.Until && !before.Until:
		return fmt.Sprintf("it was planned with %d seeds, to be looked at once, and one that goes on until it is decided is another", len(before.Seeds))
	case !p.Until && before.Until:
		return fmt.Sprintf("it was planned to go on until it is decided (--until decided), with %d seeds at most, and a fixed number of seeds is another plan", len(before.Seeds))
	case p.Until && !slices.Equal(p.Seeds[:len(before.Seeds)], before.Seeds):
		return fmt.Sprintf("its pairs count in the order of the seeds %v, and here that is another", before.Seeds)
	}
	if p.Margin != before.Margin {
		return fmt.Sprintf("it was planned with a margin of equivalence of %g, and one that is chosen afterwards decides nothing", before.Margin)
	}
	if !reflect.DeepEqual(p.Finetune, before.Finetune) {
		return "it has another fine-tuning"
	}
	if !reflect.DeepEqual(p.Fork, before.Fork) {
		return "its arms leave the baseline's run at another step"
	}
	if p.Corpus != "" && before.Corpus != "" && p.Corpus != before.Corpus {
		return "it was trained on another text"
	}
	study := p.study()
	for _, run := range p.Runs {
		if study.branches(run.Arm) {
			continue // its name follows from the baseline's run, which may not be there yet
		}
		if was, ok := find(before.Runs, run.Arm, run.Seed); ok && run.ID != "" && was.ID != "" && run.ID != was.ID {
			return fmt.Sprintf("%s at seed %d is the run %s there and %s here, so text, weights, engine or version are others", run.Arm, run.Seed, was.ID, run.ID)
		}
	}
	return ""
}

// find returns the run of an arm at a seed, if it is among them.
func find(all []Run, arm string, seed int64) (Run, bool) {
	i := slices.IndexFunc(all, func(r Run) bool { return r.Arm == arm && r.Seed == seed })
	if i < 0 {
		return Run{}, false
	}
	return all[i], true
}

// armTexts are equal for arms of the same names and settings, however a path in them is spelled: what lies there is told
// apart by the runs.
func armTexts(arms []Arm) []string {
	texts := make([]string, len(arms))
	for i, arm := range arms {
		arm.Config.Data.Corpus, arm.Config.Data.Mixture, arm.Config.Training.InitFrom, arm.Config.Replacements.Checkpoint = "", "", "", ""
		texts[i] = arm.Name + " " + armText(arm)
	}
	return texts
}

// register writes the plan into the study's folder before anything is trained. Seeds that were planned before stay the
// planned ones, unless no run has ended yet: then nobody has looked. A study until decided whose plan was altered after it was
// written is the user's error: no further seed would give it a verdict.
func (r *Results) register(dir string) error {
	before, found, err := planIn(dir)
	if err != nil {
		return err
	}
	if found {
		if err := r.fits(dir); err != nil {
			return err
		}
		earlier, err := Load(r.Store, before)
		if err != nil {
			return err
		}
		if earlier.Ended() > 0 {
			r.adopt(before)
		}
		if r.Study.UntilDecided && r.exploratory() == altered {
			return usererr.New("%s was altered after it was written, before the first run: it bears the hash %.12s, which is not that of its seeds, arms, outcome and margin, so that no verdict can come; restore the file, or choose another --out",
				filepath.Join(dir, PlanFile), r.Planned.Hash)
		}
	}
	if r.Planned == nil {
		r.Planned = &Planned{Seeds: slices.Clone(r.Study.Seeds), Date: time.Now().UTC().Truncate(time.Second)}
		if r.Planned.Hash, err = r.planHash(); err != nil {
			return err
		}
		if found && before.Planned != nil && before.Planned.Hash == r.Planned.Hash {
			r.Planned = before.Planned // another process was first
		}
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return runs.WriteJSON(filepath.Join(dir, PlanFile), r.Plan())
}

// adopt takes what another process, or an earlier one, knows of the same study.
func (r *Results) adopt(before Plan) {
	if r.Planned = before.Planned; r.Planned == nil {
		r.Planned = &Planned{Seeds: before.Seeds} // from before that was written down
	}
	for i, run := range r.Runs {
		if was, ok := find(before.Runs, run.Arm, run.Seed); ok && run.Tuned == "" && run.ID == was.ID {
			r.Runs[i].Tuned = was.Tuned
		}
	}
	for _, figure := range before.Extra.Figures {
		if !r.Extra.has(figure.Name) {
			r.Extra.Figures = append(r.Extra.Figures, figure)
		}
	}
}

// planHash is that of what is planned.
func (r Results) planHash() (string, error) {
	planned := map[string]any{
		"seeds": r.Planned.Seeds, "arms": armTexts(r.Arms), "outcome": r.Study.Outcome, "finetune": r.Study.Finetune,
	}
	if r.Study.Margin != 0 { // plans from before there were margins keep their hash
		planned["margin"] = r.Study.Margin
	}
	if r.Study.Fork != nil {
		planned["fork"] = r.Study.Fork
	}
	if r.Study.UntilDecided {
		planned["until"] = "decided"
	}
	text, err := runs.Canonical(planned)
	if err != nil {
		return "", fmt.Errorf("write the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func (p Plan) study() Study {
	s := Study{
		Name: p.Name, Question: p.Question, Recipe: p.Recipe, Outcome: p.Outcome, Seeds: p.Seeds, Margin: p.Margin, UntilDecided: p.Until, Matching: p.Matching,
		Finetune: p.Finetune, Fork: p.Fork,
	}
	for _, arm := range p.Arms {
		if arm.Name == BaselineName {
			s.Baseline = arm.Config
		} else {
			s.Changes = append(s.Changes, Change{arm.Name, arm.Set})
		}
	}
	return s
}

// Open reads the results of the study whose report is in dir, from the runs in the folder around it: what is finished
// stands in them, the rest is missing. dir may be a link, and "." is a folder like any other. A folder that is no study's is
// the user's error.
func Open(dir string) (Results, error) {
	plan, err := ReadPlan(dir)
	if err != nil {
		return Results{}, err
	}
	root, err := plan.root(dir)
	if err != nil {
		return Results{}, err
	}
	return load(runs.Store{Root: root}, plan, dir)
}

// root is the folder of the runs: that around dir. Where dir is a link, that is the folder around what it leads to, unless the
// runs lie beside the link.
func (p Plan) root(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", usererr.New("find the runs of %s: %w", dir, err)
	}
	beside, err := filepath.Abs(dir)
	if err != nil {
		return "", usererr.New("find the runs of %s: %w", dir, err)
	}
	around := filepath.Dir(real)
	for _, root := range []string{around, filepath.Dir(beside)} {
		if slices.ContainsFunc(p.Runs, func(r Run) bool { return r.begun(root) }) {
			return root, nil
		}
	}
	return around, nil
}

// Load reads a study's results from the run store without training anything: what is finished stands in them, the
// rest is missing. What is damaged is missing too, and named in the results' Problems.
func Load(store runs.Store, plan Plan) (Results, error) { return load(store, plan, "") }

// load is [Load] of the study whose folder is dir; "" for that of its name in the store.
func load(store runs.Store, plan Plan, dir string) (Results, error) {
	if err := plan.check(PlanFile); err != nil {
		return Results{}, err
	}
	results := Results{
		Study: plan.study(), Arms: plan.Arms, Runs: plan.Runs, Store: store, Extra: plan.Extra, Corpus: plan.Corpus, Planned: plan.Planned, Sources: plan.Sources, dir: dir,
	}
	return results.Reload(), nil
}
