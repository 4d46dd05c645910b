// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"metrolab/internal/spelling"
	"metrolab/internal/usererr"
)

// Document reads the nodes of a file. All its errors are the user's.
type Document struct {
	Path string // stands in the errors
}

// Fault is an error at a node.
func (d Document) Fault(n *yaml.Node, format string, args ...any) error {
	return usererr.New("%s:%d: %w", d.Path, n.Line, fmt.Errorf(format, args...))
}

// At puts a node's place before an error, if it is one.
func (d Document) At(n *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return d.Fault(n, "%w", err)
}

// Root is the one document of the file.
func (d Document) Root(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var file, more yaml.Node
	switch err := decoder.Decode(&file); {
	case errors.Is(err, io.EOF):
		return nil, usererr.New("%s is empty", d.Path)
	case err != nil:
		return nil, usererr.New("%s: %s", d.Path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, usererr.New("%s holds more than one document, and only one is read", d.Path)
	}
	return file.Content[0], nil
}

// plain refuses what hides what a file says.
func (d Document) plain(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return d.Fault(n, "anchors and aliases are not taken here; write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		return d.Fault(n, "tags are not taken here; leave %s away", n.Tag)
	}
	return nil
}

// of refuses a node of another kind.
func (d Document) of(kind yaml.Kind, n *yaml.Node) error {
	if err := d.plain(n); err != nil {
		return err
	}
	if n.Kind != kind {
		return d.Fault(n, "here belongs %s, not %s", kinds[kind], kinds[n.Kind])
	}
	return nil
}

var kinds = map[yaml.Kind]string{yaml.ScalarNode: "one value", yaml.MappingNode: "a mapping, key: value", yaml.SequenceNode: "a list"}

// Each calls visit with the keys of a mapping and their values, in their order. A key that stands twice is an error.
func (d Document) Each(n *yaml.Node, visit func(key, value *yaml.Node) error) error {
	if err := d.of(yaml.MappingNode, n); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if err := errors.Join(d.of(yaml.ScalarNode, key), d.plain(value)); err != nil {
			return err
		}
		if seen[key.Value] {
			return d.Fault(key, "%q stands here twice", key.Value)
		}
		seen[key.Value] = true
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return nil
}

// Keys calls read with the keys of a mapping, in the order of names, which are all that may be there.
func (d Document) Keys(n *yaml.Node, names []string, read func(key string, value *yaml.Node) error) error {
	found := map[string]*yaml.Node{}
	if err := d.Each(n, func(key, value *yaml.Node) error {
		if !slices.Contains(names, key.Value) {
			return d.Fault(key, "there is no key %q here; did you mean %q? There are %s", key.Value, spelling.Nearest(key.Value, names), strings.Join(names, ", "))
		}
		found[key.Value] = value
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if value := found[name]; value != nil {
			if err := read(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// List calls visit with the elements of a list.
func (d Document) List(n *yaml.Node, visit func(*yaml.Node) error) error {
	if err := d.of(yaml.SequenceNode, n); err != nil {
		return err
	}
	for _, element := range n.Content {
		if err := visit(element); err != nil {
			return err
		}
	}
	return nil
}

// Text is a value as it is written.
func (d Document) Text(n *yaml.Node) (string, error) {
	if err := d.of(yaml.ScalarNode, n); err != nil {
		return "", err
	}
	if n.Value == "" && n.Style == 0 {
		return "", d.Fault(n, `there is no value; an empty text is ""`)
	}
	return n.Value, nil
}

// Whole is a whole number.
func (d Document) Whole(n *yaml.Node) (int64, error) {
	text, err := d.Text(n)
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, d.Fault(n, "%q is not a whole number", text)
	}
	return number, nil
}

// Number is a finite number.
func (d Document) Number(n *yaml.Node) (float64, error) {
	text, err := d.Text(n)
	if err != nil {
		return 0, err
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x-x != 0 {
		return 0, d.Fault(n, "%q is not a finite number", text)
	}
	return x, nil
}
