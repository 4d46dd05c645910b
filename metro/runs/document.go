// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"metrolab/internal/atomicfile"
)

// WriteJSON writes v as indented JSON, atomically: whoever opens path, at any moment and after any crash, finds the
// whole old document or the whole new one. Numbers that may be NaN or infinite belong into [Values].
func WriteJSON(path string, v any) error { return writeJSON(atomicfile.OS, path, v) }

func writeJSON(d atomicfile.Disk, path string, v any) error {
	text, err := indented(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.WriteFile(path, text); err != nil {
		return fmt.Errorf("write %s, %d bytes: %w", path, len(text), err)
	}
	return nil
}

func indented(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(v)
	return text.Bytes(), err
}

// ReadJSON reads a document of a run into v. A file that is not there is an error that wraps [io/fs.ErrNotExist].
func ReadJSON(path string, v any) error { return readJSON(atomicfile.OS, path, v) }

func readJSON(d atomicfile.Disk, path string, v any) error {
	text, err := readFile(d, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("read %s, %d bytes: %w", path, len(text), err)
	}
	return nil
}

// maxDocument bounds the JSON documents of a run, so that a wrong file in their place cannot fill the memory.
const maxDocument = 64 << 20

func readFile(d atomicfile.Disk, path string) ([]byte, error) {
	file, err := d.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxDocument)
	}
	return data, err
}

// decodeWhole decodes text and refuses what stands behind the first value, which a decoder would leave for later.
func decodeWhole(decoder *json.Decoder, text []byte, v any) error {
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if rest := bytes.Trim(text[decoder.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the end", len(rest))
	}
	return nil
}
