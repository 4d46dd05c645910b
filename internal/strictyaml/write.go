// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"bytes"
	"errors"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Encode writes a document.
func Encode(root *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(root), encoder.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Mapping is a mapping without a key, to be filled by [Put].
func Mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

// Put adds a key to a mapping.
func Put(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, Scalar(key), value)
}

// Scalar is a value that [Document.Text] reads back, without quotes where they are not needed for that.
func Scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if text == "" || strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
