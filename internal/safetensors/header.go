// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

const metadataKey = "__metadata__"

// entry is a tensor as its header line states it, before anything was compared.
type entry struct {
	info       Info
	begin, end int64
}

// header walks the JSON token by token: a decoder into a map would let the last of two equal names win in silence.
type header struct {
	dec      *json.Decoder
	entries  []entry
	metadata map[string]string
}

// parseHeader reads the JSON of a file whose tensors take dataSize bytes and begin at byte dataStart. The tensors come
// back in the order of their bytes.
func parseHeader(text []byte, dataStart, dataSize int64) ([]Info, map[string]string, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, nil, errors.New("the header does not begin with {")
	}
	if !utf8.Valid(text) {
		return nil, nil, errors.New("the header is not UTF-8")
	}
	h := &header{dec: json.NewDecoder(bytes.NewReader(text))}
	h.dec.UseNumber()
	if err := h.object(h.member); err != nil {
		return nil, nil, fmt.Errorf("header byte %d: %w", h.dec.InputOffset(), err)
	}
	if rest := bytes.TrimRight(text[h.dec.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, fmt.Errorf("the header's JSON is followed by %d more bytes", len(rest))
	}
	infos, err := layOut(h.entries, dataStart, dataSize)
	return infos, h.metadata, err
}

// object reads one JSON object, refuses a repeated key, and calls member at each value.
func (h *header) object(member func(key string) error) error {
	if err := h.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for h.dec.More() {
		key, err := h.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%.80q stands there twice", key)
		}
		if len(seen) == maxMembers {
			return fmt.Errorf("more than %d names in one object", maxMembers)
		}
		seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
	return h.delim('}')
}

func (h *header) member(key string) error {
	if key == metadataKey {
		h.metadata = map[string]string{}
		return h.object(func(key string) (err error) {
			h.metadata[key], err = h.text()
			return err
		})
	}
	e := entry{info: Info{Name: key}, begin: -1, end: -1}
	if err := h.object(func(field string) error { return h.field(&e, field) }); err != nil {
		return fmt.Errorf("tensor %.80q: %w", key, err)
	}
	if e.info.DType == "" || e.info.Shape == nil || e.begin < 0 {
		return fmt.Errorf("tensor %.80q: dtype, shape and data_offsets are needed", key)
	}
	h.entries = append(h.entries, e)
	return nil
}

func (h *header) field(e *entry, name string) (err error) {
	switch name {
	case "dtype":
		e.info.DType, err = h.text()
	case "shape":
		e.info.Shape = []int{}
		err = h.numbers(maxRank, func(n int64) { e.info.Shape = append(e.info.Shape, int(n)) })
	case "data_offsets":
		offsets := make([]int64, 0, 2)
		err = h.numbers(2, func(n int64) { offsets = append(offsets, n) })
		if err == nil && len(offsets) != 2 {
			err = fmt.Errorf("data_offsets holds %d numbers, not 2", len(offsets))
		}
		if err == nil {
			e.begin, e.end = offsets[0], offsets[1]
		}
	default:
		err = fmt.Errorf("unknown field %.80q", name)
	}
	return err
}

// numbers reads an array of at most limit non-negative integers.
func (h *header) numbers(limit int, each func(int64)) error {
	if err := h.delim('['); err != nil {
		return err
	}
	for count := 0; h.dec.More(); count++ {
		if count == limit {
			return fmt.Errorf("an array holds more than %d numbers", limit)
		}
		token, err := h.dec.Token()
		if err != nil {
			return notCut(err)
		}
		number, ok := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, strconv.IntSize-1)
		if !ok || err != nil {
			return fmt.Errorf("%.40q is not a whole number from 0 to %d", fmt.Sprint(token), math.MaxInt)
		}
		each(int64(n))
	}
	return h.delim(']')
}

func (h *header) delim(want json.Delim) error {
	token, err := h.dec.Token()
	if err != nil {
		return notCut(err)
	}
	if token != want {
		return fmt.Errorf("%.40q where %q should be", fmt.Sprint(token), want.String())
	}
	return nil
}

func (h *header) text() (string, error) {
	token, err := h.dec.Token()
	if err != nil {
		return "", notCut(err)
	}
	text, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%.40q where a text should be", fmt.Sprint(token))
	}
	return text, nil
}

// notCut keeps the end of the JSON from looking like the regular end of something.
func notCut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// layOut checks that the tensors fill the data from its first byte to its last, each with the bytes its shape needs.
func layOut(entries []entry, dataStart, dataSize int64) ([]Info, error) {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.info.Name, b.info.Name))
	})
	infos := make([]Info, 0, len(entries))
	next := int64(0)
	for _, e := range entries {
		size, err := e.info.Size()
		switch {
		case err != nil:
			return nil, err
		case e.begin != next:
			return nil, fmt.Errorf("tensor %.80q begins at byte %d of the data, where the tensors before it end at %d", e.info.Name, e.begin, next)
		case e.end-e.begin != size:
			return nil, fmt.Errorf("tensor %.80q has bytes %d to %d, but %s of shape %v takes %d", e.info.Name, e.begin, e.end, e.info.DType, e.info.Shape, size)
		case e.end > dataSize:
			return nil, fmt.Errorf("tensor %.80q ends at byte %d of the data, which has %d", e.info.Name, e.end, dataSize)
		}
		e.info.offset = dataStart + e.begin
		next = e.end
		infos = append(infos, e.info)
	}
	if next != dataSize {
		return nil, fmt.Errorf("the tensors end at byte %d of the data, which has %d", next, dataSize)
	}
	return infos, nil
}
