// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
)

// Schema numbers the way in which a config is read and named. It is part of a run's identity, and is raised only if the
// same config should mean something else; a new field does not raise it.
const Schema = 2

// Neutral returns the config whose fields are at their neutral values, and zero where they have none.
func Neutral() Config {
	var c Config
	root := reflect.ValueOf(&c).Elem()
	for _, f := range declared() {
		if f.HasNeutral {
			field := root.FieldByIndex(f.index)
			field.Set(reflect.ValueOf(parseAs(field.Type(), f.Neutral)))
		}
	}
	return c
}

// UnmarshalJSON implements [json.Unmarshaler]. A field that the document lacks, because it is from before the field existed,
// gets its neutral value.
func (c *Config) UnmarshalJSON(text []byte) error {
	type plain Config
	read := plain(Neutral())
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*c = Config(read)
	return nil
}

// Identity returns what of a config decides a run's numbers, by path: the fields that are in use and not at their neutral
// value, without operations, and without paths, whose contents count in their stead. So a run keeps its name when a field
// is added to Config, and configs that differ only in what has no effect are one run.
func (c Config) Identity() map[string]any {
	identity := map[string]any{}
	for path, s := range c.fields() {
		if s.used && !s.isNeutral() && s.Class != ClassOperation && !s.IsPath {
			identity[path] = s.value
		}
	}
	return identity
}

// GraphKey names the computation of a training step: configs with equal keys, on equal vocabularies, can share one
// compiled program, because what they differ in (seed, learning rate, loss weights, bias scale, temperature, masks,
// cadence) is an input.
func (c Config) GraphKey() string {
	graph := map[string]any{"components": c.components(func(class Class) bool { return class == ClassGraph })}
	for path, s := range c.fields() {
		if s.used && !s.isNeutral() && s.Class == ClassGraph {
			graph[path] = s.value
		}
	}
	if use := c.source().Generator; use == GeneratorUnused || use == GeneratorUnknown {
		// The tokens' frequencies are built in.
		graph["data.vocab_size"], graph["data.lowercase"] = c.Data.VocabSize, c.Data.Lowercase
	}
	text, err := json.Marshal(graph)
	if err != nil {
		panic(err) // only NaN or Inf, which Validate refuses
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// FirstSchema returns c as it was written before [Schema] was, when a run was named by the whole of it; false if c has what
// there was not then.
func (c Config) FirstSchema() (map[string]any, bool) {
	for _, s := range c.fields() {
		if !s.isNeutral() && !s.IsPath && (s.Since > 1 || s.index == nil) {
			return nil, false
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, false
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, false
	}
	for _, f := range declared() {
		if f.Since > 1 {
			section, leaf, _ := strings.Cut(f.Path, ".")
			below := tree[section].(map[string]any)
			if delete(below, leaf); len(below) == 0 {
				delete(tree, section)
			}
		}
	}
	return tree, true
}
