// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"

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

// ReadSealed is [ReadJSON] for a document that [Lease.WriteSealed] wrote: one of whose members any has changed since is an
// error. A document from before there were seals is read as it is.
func ReadSealed(path string, v any) error { return readSealed(atomicfile.OS, path, v) }

func readSealed(d atomicfile.Disk, path string, v any) error {
	var document json.RawMessage
	if err := readJSON(d, path, &document); err != nil {
		return err
	}
	err := checkSeal(document)
	if err == nil {
		err = json.Unmarshal(document, v)
	}
	if err != nil {
		return fmt.Errorf("read %s, %d bytes: %w", path, len(document), err)
	}
	return nil
}

// sealName is the member of a sealed document that holds the [Hash] of the others. It is the last.
const sealName = "sha256"

// sealPattern finds a seal by its form, so that damage to its name, too, is found out.
var sealPattern = regexp.MustCompile(`,\s*"([^"]*)": "([^"]{64})"\s*\}\s*$`)

// sealed is v, which must be an object with members, as indented JSON with a seal.
func sealed(v any) ([]byte, error) {
	text, err := indented(v)
	if err != nil {
		return nil, err
	}
	hash, err := Hash(json.RawMessage(text))
	if err != nil {
		return nil, err
	}
	body, ok := bytes.CutSuffix(text, []byte("\n}\n"))
	if !ok {
		return nil, fmt.Errorf("value of type %T is no object with members", v)
	}
	return fmt.Appendf(body, ",\n  %q: %q\n}\n", sealName, hash), nil
}

func checkSeal(document []byte) error {
	found := sealPattern.FindSubmatchIndex(document)
	if found == nil {
		return nil
	}
	name, seal := document[found[2]:found[3]], string(document[found[4]:found[5]])
	hash, err := Hash(json.RawMessage(append(bytes.Clone(document[:found[0]]), '}')))
	if err == nil && (string(name) != sealName || hash != seal) {
		err = fmt.Errorf("its content has the hash %.10s, and it says %.10s", hash, seal)
	}
	return err
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
