// SPDX-License-Identifier: Apache-2.0

package text

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"metrolab/internal/bounded"
)

const (
	manifestName    = "manifest.json"
	manifestFormat  = "metrolab corpus 2"
	firstFormat     = "metrolab corpus 1" // its hash was of the files, labels and all
	maxManifestSize = 1 << 20
)

// Count is an amount of text.
type Count struct {
	Documents int64 `json:"documents"`
	Words     int64 `json:"words"` // runs of characters between white space
	Bytes     int64 `json:"bytes"` // of the texts in UTF-8, without labels
}

func (c *Count) add(o Count) {
	c.Documents += o.Documents
	c.Words += o.Words
	c.Bytes += o.Bytes
}

// Stats says what a corpus holds and what was left out when it was prepared. LicenseHeaders and Short are dropped from the
// default corpus only, and so are paragraphs that differ from others in the case of letters alone.
type Stats struct {
	Splits         map[Split]Count `json:"splits"`
	Files          int64           `json:"files"`           // that were read
	Duplicates     int64           `json:"duplicates"`      // paragraphs dropped because an equal one came before
	LicenseHeaders int64           `json:"license_headers"` // paragraphs dropped as licence text
	Short          int64           `json:"short"`           // paragraphs dropped for having fewer than 8 words
	Neighbours     int64           `json:"neighbours"`      // training paragraphs dropped for being like a held-out one
	InvalidBytes   int64           `json:"invalid_bytes"`   // bytes that were not UTF-8, or zero, each replaced by U+FFFD
}

// Total returns the sum over the splits.
func (s Stats) Total() Count {
	var total Count
	for _, split := range Splits {
		total.add(s.Splits[split])
	}
	return total
}

type fileSum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Texts  string `json:"texts,omitempty"` // SHA-256 of the texts alone, a line each
}

// manifest is what stands in manifest.json beside the three splits. It holds no times and no paths of the cache, so that
// equal corpora have equal manifests.
type manifest struct {
	Format string            `json:"format"`
	Name   string            `json:"name"`
	Source string            `json:"source"`
	Field  string            `json:"field,omitempty"`
	Notes  []string          `json:"notes,omitempty"`
	Hash   string            `json:"hash"`
	Files  map[Split]fileSum `json:"files"`
	Stats  Stats             `json:"stats"`
}

func fileName(s Split) string { return string(s) + ".jsonl" }

// contentHash names a corpus by its texts, their order and their splits: no label, and no name of a file, is in it.
func contentHash(files map[Split]fileSum) string {
	h := sha256.New()
	for _, split := range Splits {
		fmt.Fprintf(h, "%s  %s\n", files[split].Texts, split)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// firstHash is what [contentHash] was in the first format.
func firstHash(files map[Split]fileSum) string {
	h := sha256.New()
	for _, split := range Splits {
		fmt.Fprintf(h, "%s  %s\n", files[split].SHA256, fileName(split))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// safeName makes a name of letters, digits, '.', '_' and '-' that is no path and not hidden.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, name)
	name = strings.Trim(name[:min(len(name), 60)], ".-")
	if name == "" {
		return "text"
	}
	return name
}

// readManifest returns the manifest in dir and its bytes.
func readManifest(dir string) (*manifest, []byte, error) {
	path := filepath.Join(dir, manifestName)
	raw, err := bounded.ReadFile(path, maxManifestSize)
	if err != nil {
		return nil, nil, err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	hash := contentHash
	switch m.Format {
	case manifestFormat:
	case firstFormat:
		hash = firstHash
	default:
		return nil, nil, fmt.Errorf("%s: its format is %q, this program reads %q", path, m.Format, manifestFormat)
	}
	if m.Name != safeName(m.Name) || m.Hash != hash(m.Files) {
		return nil, nil, fmt.Errorf("%s: its name %q or its hash %.12s does not fit the rest of it", path, m.Name, m.Hash)
	}
	return &m, raw, nil
}
