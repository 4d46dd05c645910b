// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"metrolab/internal/atomicfile"
)

// Write writes the header and then calls data once for each tensor, in the given order, to write exactly its bytes
// (little-endian, row-major). Mixed types stay aligned for readers that map the file if wide types come first.
//
// A wrong description (repeated or reserved name, unknown type, negative axis) is an error before the first byte is
// written; too few or too many bytes for a tensor is an error that ends the writing.
func Write(w io.Writer, infos []Info, metadata map[string]string, data func(Info, io.Writer) error) error {
	header, err := encodeHeader(infos, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	for _, info := range infos {
		size, err := info.Size()
		if err != nil {
			return err
		}
		counted := &exactWriter{w: w, left: size}
		if err := data(info, counted); err != nil {
			return fmt.Errorf("write tensor %q: %w", info.Name, err)
		}
		if counted.left != 0 {
			return fmt.Errorf("write tensor %q: %d of its %d bytes are missing", info.Name, counted.left, size)
		}
	}
	return nil
}

// WriteFile is [Write] into a file that appears under its name only when it is complete and on the disk; one that was
// there before stays until then.
func WriteFile(path string, infos []Info, metadata map[string]string, data func(Info, io.Writer) error) error {
	err := atomicfile.WriteFunc(path, func(w io.Writer) error { return Write(w, infos, metadata, data) })
	if err != nil {
		return fmt.Errorf("write weights %s: %w", path, err)
	}
	return nil
}

// encodeHeader gives the length and the JSON, padded with spaces so that the data begins at a multiple of 8.
func encodeHeader(infos []Info, metadata map[string]string) ([]byte, error) {
	text := &headerText{}
	text.Write(make([]byte, 8))
	text.WriteByte('{')
	for key, value := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("metadata %q: %q is not UTF-8", key, value)
		}
	}
	if len(metadata) > 0 {
		text.member(metadataKey, metadata)
	}
	if max(len(infos), len(metadata)) > maxMembers {
		return nil, fmt.Errorf("%d tensors and %d texts: at most %d of each are read back", len(infos), len(metadata), maxMembers)
	}
	seen := make(map[string]bool, len(infos))
	begin := int64(0)
	for _, info := range infos {
		if seen[info.Name] || info.Name == metadataKey || !utf8.ValidString(info.Name) {
			return nil, fmt.Errorf("tensor name %q is repeated, reserved or not UTF-8", info.Name)
		}
		seen[info.Name] = true
		size, err := info.Size()
		if err != nil {
			return nil, err
		}
		end := begin + size
		if end < begin {
			return nil, fmt.Errorf("tensor %q ends beyond the largest file: %d + %d bytes", info.Name, begin, size)
		}
		text.member(info.Name, struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{info.DType, append([]int{}, info.Shape...), [2]int64{begin, end}})
		begin = end
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	length := text.Len() - 8
	if length > MaxHeader {
		return nil, fmt.Errorf("a header of %d bytes for %d tensors is longer than the %d that the format allows", length, len(infos), MaxHeader)
	}
	binary.LittleEndian.PutUint64(text.Bytes(), uint64(length))
	return text.Bytes(), nil
}

// headerText is a JSON object in the making whose members keep the order in which they come.
type headerText struct{ bytes.Buffer }

func (t *headerText) member(key string, value any) {
	if last := t.Bytes()[t.Len()-1]; last != '{' {
		t.WriteByte(',')
	}
	t.value(key)
	t.WriteByte(':')
	t.value(value)
}

// value appends JSON as the reference implementation writes it: <, > and & as they are.
func (t *headerText) value(v any) {
	encoder := json.NewEncoder(t)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // texts and whole numbers always encode
	}
	t.Truncate(t.Len() - 1) // the encoder ends each value with a new line
}

// exactWriter passes on as many bytes as a tensor has and refuses the next one.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, fmt.Errorf("%d bytes come where %d are left", len(p), e.left)
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	return n, err
}
