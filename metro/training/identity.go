// SPDX-License-Identifier: Apache-2.0

package training

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
)

// NumericsVersion is raised by hand whenever equal configs stop giving equal numbers; a golden trajectory in the tests
// says when. It is part of a run's identity, so that runs from before and after are never taken for one another.
const NumericsVersion = 3

// RunIdentity is a run's config.json: what was asked for, and with the whole config also how it is looked after.
// [RunIdentity.Key] is what the run is named by.
//
// What it promises: on one machine, by one program, runs of equal keys are equal to the last bit, whatever killed them on the
// way. On another machine (another plugin, GPU or processor, other XLA_FLAGS) the same key gives a run like it, not the same
// one: of a recipe whose training is sensitive, an outcome may move by as much as between two seeds. So that a run can move,
// this is no part of its key; each attempt's provenance keeps it (see [runs.Provenance.Numerics]), who goes on with a run
// elsewhere is told, and a study's report names the runs that it concerns.
type RunIdentity struct {
	Schema          int          `json:"schema"`         // see [metro.Schema]; 0 in runs from before it was written down
	Name            string       `json:"name,omitempty"` // as it was given; of the directory's only letters, digits and dashes are left
	Config          metro.Config `json:"config"`
	Corpus          string       `json:"corpus"`            // content hash
	Mixture         []MixedText  `json:"mixture,omitempty"` // what is mixed into the text, in the order of the config
	Tokenizer       string       `json:"tokenizer"`         // content hash
	Backend         string       `json:"backend"`           // kind; another one makes another run
	SIMD            bool         `json:"simd,omitempty"`    // pure Go with vector instructions, which add in another order
	DType           string       `json:"dtype"`
	NumericsVersion int          `json:"numerics_version"`

	Components map[string]int    `json:"components"`        // see [metro.Config.Components]
	Weights    map[string]string `json:"weights,omitempty"` // content hashes of the trained models that the config begins with

	// KeyHash is the SHA-256 of Key when the run was made, so that a config.json that was changed since is found out.
	KeyHash string `json:"key_hash,omitempty"`
}

// MixedText is a text of data.mixture.
type MixedText struct {
	Corpus string `json:"corpus"` // content hash
	Share  int    `json:"share"`  // see [metro.MixedText]
}

// Key is what decides the run's numbers on a given machine and nothing else: of the config its [metro.Config.Identity]. Its
// hash names the run.
func (r RunIdentity) Key() map[string]any {
	key := map[string]any{
		"schema": metro.Schema, "config": r.Config.Identity(), "components": r.Config.Components(),
		"corpus": r.Corpus, "tokenizer": r.Tokenizer,
		"backend": r.Backend, "dtype": r.DType, "numerics_version": r.NumericsVersion,
	}
	if r.SIMD {
		key["simd"] = true
	}
	if len(r.Mixture) > 0 {
		key["mixture"] = r.Mixture
	}
	if len(r.Weights) > 0 {
		key["weights"] = r.Weights
	}
	// The versions are those that the run was begun with, not those of this program.
	components := key["components"].(map[string]int)
	for name := range components {
		if version, ok := r.Components[name]; ok {
			components[name] = version
		}
	}
	return key
}

// Verify returns the user's error if the config.json of the run in dir, which r was read from, is not what the run was made
// with: the numbers that it decides have a hash, which the file holds and the folder's name ends with. What decides no
// number, how often a checkpoint is saved say, may be changed; and a folder may have any other name.
func (r RunIdentity) Verify(dir string) error {
	hash, err := runs.Hash(r.Key())
	if err != nil {
		return err
	}
	path := filepath.Join(dir, runs.ConfigFile)
	if r.KeyHash != "" && r.KeyHash != hash {
		return usererr.New("%s is not as it was written: its settings have the hash %.10s, and it says %.10s; put the file back, or train what it says now as a run of its own",
			path, hash, r.KeyHash)
	}
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name, digits, ok := runs.SplitID(filepath.Base(whole))
	if !ok || strings.HasPrefix(hash, digits) {
		return nil
	}
	if first, err := r.firstID(name); err != nil || strings.HasSuffix(first, digits) {
		return err
	}
	return usererr.New("%s is not as it was written: its settings have the hash %.10s, and the folder's name says %s; put the file back, or train what it says now as a run of its own",
		path, hash, digits)
}

// IdentityOf implements [runs.Document].
func (RunIdentity) IdentityOf(config json.RawMessage) (any, error) {
	var stored RunIdentity
	if err := json.Unmarshal(config, &stored); err != nil {
		return nil, err
	}
	return stored.Key(), nil
}

// firstID is the name that a run had before [metro.Schema] was written down, when all of the config was hashed; empty for a
// run that has what there was not then.
func (r RunIdentity) firstID(name string) (string, error) {
	config, ok := r.Config.FirstSchema()
	if !ok || len(r.Mixture) > 0 {
		return "", nil
	}
	components := r.Config.Components()
	for part := range components {
		if kind, _, _ := strings.Cut(part, "/"); kind != "objective" && kind != "source" && kind != "metric" {
			delete(components, part)
		}
	}
	document := map[string]any{
		"config": config, "corpus": r.Corpus, "tokenizer": r.Tokenizer, "backend": r.Backend, "dtype": r.DType,
		"numerics_version": r.NumericsVersion, "components": components,
	}
	if len(r.Weights) > 0 {
		document["weights"] = r.Weights
	}
	return runs.ID(name, document)
}
