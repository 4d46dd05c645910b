// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"metrolab/ablations"
	"metrolab/ablations/studies"
	"metrolab/internal/strictyaml"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
)

// Claim is what somebody has published, and how it is asked here.
type Claim struct {
	ID        string
	Says      string // the claim, in a sentence
	Source    string
	Certainty string // how sure it is that this was published: paper, code, issue, notes, abstract, memory, derived
	Published string // the size, as published
	Note      string // what the study here does in another way; may be empty
	Expects   Expectation
	Contrast  ablations.Contrast // of the arms; where the claim holds it is what Expects says
	Margin    float64            // of the contrast: what is smaller does not matter
	OneRate   string             // why the claim is not repeated at other learning rates; empty where it is

	Preregistered map[string]string // the plan's hash by [Variant.String]

	document strictyaml.Document
	parts    map[string]*yaml.Node // of the study
	root     *yaml.Node
	// auxiliary is what the baseline is set to for the run whose model, or generator, the arms read, if hasAuxiliary.
	auxiliary    []string
	hasAuxiliary bool
	lowRank      []lowRank // arms that train nothing, beside the baseline
}

// Expectation is what a claim says of its contrast, whose higher values are better.
type Expectation string

// The expectations.
const (
	Better     Expectation = "better"
	Equivalent Expectation = "equivalent" // differs by less than the margin
	NotWorse   Expectation = "not worse"  // better or equivalent
)

// Holds says what the contrast is where the claim holds.
func (c Claim) Holds() string {
	return map[Expectation]string{
		Better:     "the contrast is above 0",
		Equivalent: fmt.Sprintf("the contrast is within ±%g", c.Margin),
		NotWorse:   fmt.Sprintf("the contrast is above 0, or within ±%g", c.Margin),
	}[c.Expects]
}

// Variant is a size and a learning rate at which a claim is asked.
type Variant struct {
	Recipe string // "tiny" or "mini"
	Rate   string // "" is the recipe's own; "half" or "twice"
}

// String names the variant: "tiny", "tiny half".
func (v Variant) String() string { return strings.TrimSpace(v.Recipe + " " + v.Rate) }

// sizes are the recipes that claims are asked at, with what is changed in them. mini is cut to 600 steps, some minutes each on two
// cores. micro is for tests that a study runs at all.
var sizes = map[string]struct {
	set   []string
	seeds int // the first of the claim's; 0 for all
}{
	"micro": {[]string{"training.steps=4", "optimizer.warmup_steps=1", "training.eval_every=4", "training.log_every=4", "evaluation.rows=8"}, 1},
	"tiny":  {nil, 0},
	"mini":  {[]string{"training.steps=600", "optimizer.warmup_steps=60"}, 3},
}

// otherRates are the factors of the learning rate; there the first half of the seeds are run.
var otherRates = map[string]float64{"half": 0.5, "twice": 2}

// Variants lists those that are preregistered for the claim, the first of which is the ledger's.
func (c Claim) Variants() []Variant {
	list := []Variant{{Recipe: "tiny"}}
	if c.OneRate == "" {
		list = append(list, Variant{"tiny", "half"}, Variant{"tiny", "twice"})
	}
	return append(list, Variant{Recipe: "mini"})
}

//go:embed *.yaml
var files embed.FS

// All reads the claims that ship, in the order of their IDs.
func All() ([]Claim, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []Claim
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		claim, err := Parse(entry.Name(), text)
		if err != nil {
			return nil, err
		}
		all = append(all, claim)
	}
	slices.SortFunc(all, func(a, b Claim) int { return compareIDs(a.ID, b.ID) })
	return all, nil
}

// compareIDs puts C3 before C10.
func compareIDs(a, b string) int {
	if len(a) > 1 && len(b) > 1 && a[0] == b[0] {
		digits := func(s string) int { return len(s) - len(strings.TrimLeft(s[1:], "0123456789")) }
		if d := digits(a) - digits(b); d != 0 {
			return d
		}
	}
	return strings.Compare(a, b)
}

// Find returns the claim of that ID; one that there is not is the user's error.
func Find(id string) (Claim, error) {
	all, err := All()
	if err != nil {
		return Claim{}, err
	}
	var ids []string
	for _, claim := range all {
		if strings.EqualFold(claim.ID, id) {
			return claim, nil
		}
		ids = append(ids, claim.ID)
	}
	return Claim{}, usererr.New("there is no claim %q; there are %s", id, strings.Join(ids, ", "))
}

// words are the keys of a claim that are text, and studyParts those of its study.
var (
	words      = []string{"id", "claim", "source", "certainty", "published", "note", "expects", "one_rate"}
	studyParts = []string{"set", "arms", "seeds", "outcome", "finetune", "matching"}
)

// Parse reads a claim from strict YAML; path stands in the errors.
func Parse(path string, text []byte) (Claim, error) {
	c := Claim{document: strictyaml.Document{Path: path}, parts: map[string]*yaml.Node{}, Preregistered: map[string]string{}}
	root, err := c.document.Root(text)
	if err != nil {
		return Claim{}, err
	}
	c.root = root
	into := map[string]*string{
		"id": &c.ID, "claim": &c.Says, "source": &c.Source, "certainty": &c.Certainty, "published": &c.Published,
		"note": &c.Note, "expects": (*string)(&c.Expects), "one_rate": &c.OneRate,
	}
	keys := slices.Concat(words, studyParts, []string{"contrast", "margin", "auxiliary", "low_rank", "preregistered"})
	err = c.document.Keys(root, keys, func(key string, n *yaml.Node) (err error) {
		switch {
		case into[key] != nil:
			*into[key], err = c.document.Text(n)
		case slices.Contains(studyParts, key):
			c.parts[key] = n
		case key == "margin":
			c.Margin, err = c.document.Number(n)
		case key == "contrast":
			c.Contrast = ablations.Contrast{}
			err = c.document.Each(n, func(arm, weight *yaml.Node) (err error) {
				c.Contrast[arm.Value], err = c.document.Number(weight)
				return err
			})
		case key == "low_rank":
			err = c.document.List(n, c.parseLowRank)
		case key == "auxiliary":
			c.hasAuxiliary = true
			err = c.document.Each(n, func(path, value *yaml.Node) error {
				text, err := c.document.Text(value)
				c.auxiliary = append(c.auxiliary, path.Value+"="+text)
				return err
			})
		case key == "preregistered":
			err = c.document.Each(n, func(variant, hash *yaml.Node) (err error) {
				c.Preregistered[variant.Value], err = c.document.Text(hash)
				return err
			})
		}
		return err
	})
	if err != nil {
		return Claim{}, err
	}
	return c, c.check()
}

// certainties are the marks that a claim can have.
var certainties = []string{"paper", "code", "issue", "notes", "abstract", "memory", "derived"}

func (c Claim) check() error {
	fault := func(format string, args ...any) error { return c.document.Fault(c.root, format, args...) }
	study, err := c.Study(Variant{Recipe: "tiny"})
	if err != nil {
		return err
	}
	arms := []string{ablations.BaselineName}
	for _, change := range study.Changes {
		arms = append(arms, change.Name)
	}
	for _, arm := range c.lowRank {
		arms = append(arms, arm.Name)
	}
	sum := 0.0
	for arm, weight := range c.Contrast {
		if !slices.Contains(arms, arm) {
			return fault("the contrast names the arm %q; the study has %q", arm, arms)
		}
		sum += weight
	}
	switch {
	case c.ID == "" || c.Says == "" || c.Source == "" || c.Published == "":
		return fault("a claim has an id, and says what is claimed, where, and of what size")
	case !slices.Contains(certainties, c.Certainty):
		return fault("certainty is one of %q, not %q", certainties, c.Certainty)
	case !slices.Contains([]Expectation{Better, Equivalent, NotWorse}, c.Expects):
		return fault("expects is better, equivalent or not worse, not %q", c.Expects)
	case len(c.Contrast) < 2 || math.Abs(sum) > 1e-9:
		return fault("a contrast weighs two arms or more, and its weights add up to 0")
	case !(c.Margin > 0):
		return fault("margin is a number above 0")
	}
	return c.document.At(c.root, c.checkLowRank(study))
}

// auxiliaryRun stands in a claim's file for the run that is trained before its study.
const auxiliaryRun = "AUXILIARY"

// Study is the study that asks the claim at a variant. Where it has an auxiliary, the arms that read that name it
// "AUXILIARY", which [Claim.WithAuxiliary] replaces.
func (c Claim) Study(v Variant) (ablations.Study, error) {
	set, err := c.baselineNode(v)
	if err != nil {
		return ablations.Study{}, err
	}
	root, baseline := strictyaml.Mapping(), strictyaml.Mapping()
	root.Line = c.root.Line
	strictyaml.Put(baseline, "recipe", strictyaml.Scalar(v.Recipe))
	strictyaml.Put(baseline, "set", set)
	strictyaml.Put(root, "name", strictyaml.Scalar("claim-"+strings.ReplaceAll(c.ID+" "+v.String(), " ", "-")))
	strictyaml.Put(root, "question", strictyaml.Scalar(c.Says+"?"))
	strictyaml.Put(root, "baseline", baseline)
	for _, part := range studyParts[1:] { // what is set is the baseline's
		if n := c.parts[part]; n != nil {
			strictyaml.Put(root, part, n)
		}
	}
	strictyaml.Put(root, "margin", strictyaml.Scalar(fmt.Sprint(c.Margin)))
	if c.parts["outcome"] == nil {
		strictyaml.Put(root, "outcome", strictyaml.Scalar(studies.FrozenAUC.Metric))
	}
	study, err := ablations.StudyAt(c.document, root)
	if err != nil {
		return study, err
	}
	if n := sizes[v.Recipe].seeds; n > 0 {
		study.Seeds = study.Seeds[:min(n, len(study.Seeds))]
	} else if v.Rate != "" {
		study.Seeds = study.Seeds[:(len(study.Seeds)+1)/2]
	}
	return study, nil
}

// baselineNode is what is set in the recipe: for the size, for the claim, and for the rate.
func (c Claim) baselineNode(v Variant) (*yaml.Node, error) {
	size, known := sizes[v.Recipe]
	if !known {
		return nil, usererr.New("claims are asked at tiny and mini, not at %q", v.Recipe)
	}
	set := strictyaml.Mapping()
	own := c.parts["set"]
	for _, assignment := range size.set {
		path, value, _ := strings.Cut(assignment, "=")
		if own == nil || !slices.ContainsFunc(own.Content, func(n *yaml.Node) bool { return n.Value == path }) {
			strictyaml.Put(set, path, strictyaml.Scalar(value))
		}
	}
	if own != nil {
		set.Content = append(set.Content, own.Content...)
	}
	if v.Rate == "" {
		return set, nil
	}
	factor, known := otherRates[v.Rate]
	if !known {
		return nil, usererr.New("the other learning rates are half and twice, not %q", v.Rate)
	}
	if c.OneRate != "" {
		return nil, usererr.New("%s is asked at one rate: %s", c.ID, c.OneRate)
	}
	config, err := recipes.Get(v.Recipe)
	if err != nil {
		return nil, err
	}
	strictyaml.Put(set, "optimizer.learning_rate", strictyaml.Scalar(fmt.Sprint(factor*config.Optimizer.LearningRate)))
	return set, nil
}

// Auxiliary is the config of the run whose model, or generator, the arms of a study of the claim read, at a seed of its own; ok is false
// for a claim without one.
func (c Claim) Auxiliary(study ablations.Study) (config metro.Config, ok bool, err error) {
	if !c.hasAuxiliary {
		return config, false, nil
	}
	config = study.Baseline
	config.Seed = 1000
	return config, true, config.SetAll(c.auxiliary...)
}

// WithAuxiliary returns the study with the folder of the auxiliary's run in the place of its name.
func WithAuxiliary(study ablations.Study, dir string) ablations.Study {
	study.Changes = slices.Clone(study.Changes)
	for i, change := range study.Changes {
		study.Changes[i].Set = slices.Clone(change.Set)
		for k, assignment := range change.Set {
			if path, value, _ := strings.Cut(assignment, "="); value == auxiliaryRun {
				study.Changes[i].Set[k] = path + "=" + dir
			}
		}
	}
	return study
}

// Hash is that of what is planned at a variant: the arms with all that decides their numbers, the seeds, the outcome, the
// contrast, what is expected of it, and the margin. How a path is spelled is no part of it, nor how often a run is measured where
// its last evaluation alone counts.
func (c Claim) Hash(study ablations.Study) (string, error) {
	arms, err := study.Arms()
	if err != nil {
		return "", err
	}
	plan := map[string]any{
		"seeds": study.Seeds, "outcome": study.Outcome, "contrast": c.Contrast, "expects": string(c.Expects), "margin": c.Margin,
		"finetune": study.Finetune, "auxiliary": nil,
	}
	for _, arm := range arms {
		plan["arm "+arm.Name] = arm.Config.Identity()
		if tuned := slices.DeleteFunc(slices.Clone(arm.Set), func(a string) bool { return !strings.HasPrefix(a, "finetune.") }); len(tuned) > 0 {
			plan["finetune "+arm.Name] = tuned
		}
	}
	if len(c.lowRank) > 0 {
		plan["low rank"] = c.lowRank
	}
	if strings.Contains(study.Outcome.Metric, ":") { // it is read off the course of a run, which is seen as often as this
		plan["eval_every"] = study.Baseline.Training.EvalEvery
	}
	if config, ok, err := c.Auxiliary(study); err != nil {
		return "", err
	} else if ok {
		plan["auxiliary"] = config.Identity()
	}
	text, err := runs.Canonical(plan)
	if err != nil {
		return "", fmt.Errorf("hash the plan of %s: %w", c.ID, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Arms lists the arms of the contrast with their weights, in words: "baseline − no bias".
func (c Claim) Arms() string {
	var b strings.Builder
	names := slices.SortedFunc(maps.Keys(c.Contrast), func(a, b string) int {
		if d := c.Contrast[b] - c.Contrast[a]; d != 0 {
			return int(math.Copysign(1, d))
		}
		return strings.Compare(a, b)
	})
	for i, arm := range names {
		weight := c.Contrast[arm]
		switch {
		case weight < 0:
			b.WriteString(" − ")
		case i > 0:
			b.WriteString(" + ")
		}
		if w := math.Abs(weight); w != 1 {
			fmt.Fprintf(&b, "%.3g ", w)
		}
		b.WriteString(arm)
	}
	return strings.TrimSpace(b.String())
}
