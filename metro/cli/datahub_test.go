// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// playedHub answers as the Hugging Face hub does: what a dataset is, with its card's licence as a list, and its files, of which it
// counts how often each was asked for.
type playedHub struct {
	files   map[string]string // contents; names that end in .jsonl are of Git LFS
	spoil   map[string]func(w http.ResponseWriter, content string)
	asked   map[string]int
	status  int    // in the place of everything; 0 for none
	cut     bool   // what the dataset is, is cut off
	licence any    // of the card
	token   string // that came last
}

func (h *playedHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.token = r.Header.Get("Authorization")
	const commit = "0123456789abcdef0123456789abcdef01234567"
	name, isFile := strings.CutPrefix(r.URL.Path, "/datasets/o/n/resolve/"+commit+"/")
	switch {
	case h.status != 0:
		w.WriteHeader(h.status)
	case r.URL.Path == "/api/datasets/o/n/revision/main":
		siblings := []map[string]any{{"rfilename": ".gitattributes", "size": 1}}
		for name, content := range h.files {
			f := map[string]any{"rfilename": name, "size": len(content), "blobId": fmt.Sprintf("%x", sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(content), content))))}
			if strings.HasSuffix(name, ".jsonl") {
				f["blobId"] = "of the pointer"
				f["lfs"] = map[string]any{"size": len(content), "pointerSize": 130, "sha256": fmt.Sprintf("%x", sha256.Sum256([]byte(content)))}
			}
			siblings = append(siblings, f)
		}
		raw, _ := json.Marshal(map[string]any{"_id": "1", "id": "o/n", "sha": commit, "gated": false, "siblings": siblings, "cardData": map[string]any{"license": h.licence, "license_link": []string{"a"}}})
		if h.cut {
			w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
			raw = raw[:len(raw)/2]
		}
		_, _ = w.Write(raw)
	case isFile && h.files[name] != "":
		content := h.files[name]
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha1.Sum([]byte(content)))))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method == http.MethodHead {
			return
		}
		h.asked[name]++
		if spoil := h.spoil[name]; spoil != nil {
			spoil(w, content)
			return
		}
		_, _ = w.Write([]byte(content))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// hubOf starts a hub that the package asks.
func hubOf(t *testing.T) *playedHub {
	t.Helper()
	h := &playedHub{
		files: map[string]string{"README.md": "a card\n", "data/one.jsonl": `{"text": "one"}` + "\n", "two.txt": "two two\n", "same.txt": "two two\n", "a.train": "three\n", "b.bin": "\x00"},
		spoil: map[string]func(http.ResponseWriter, string){}, asked: map[string]int{}, licence: []string{"mit", "cc-by-4.0"},
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_TOKEN", "a token")
	return h
}

// saidWhile is what is said on the standard error meanwhile.
func saidWhile(t *testing.T, do func()) string {
	t.Helper()
	var said strings.Builder
	before := stderr
	stderr = &screen{w: &said}
	defer func() { stderr = before }()
	do()
	return said.String()
}

// The files of text of a dataset are fetched whole, with the user's token, each compared with the hub's hash; the licence and the
// size are said first.
func TestHubDataset(t *testing.T) {
	h := hubOf(t)
	dst := filepath.Join(t.TempDir(), "text")
	said := saidWhile(t, func() {
		bytes, err := hubDatasetOf("o/n", []string{".train"}).fetch(t.Context(), dst)
		require.NoError(t, err)
		require.Equal(t, int64(16+8+8+6), bytes)
	})
	require.Contains(t, said, "o/n at commit 0123456789: licence mit cc-by-4.0; 4 files, 38.0 B")
	require.Equal(t, "Bearer a token", h.token)
	for name, content := range h.files {
		got, err := os.ReadFile(filepath.Join(dst, name))
		if name == "README.md" || name == "b.bin" {
			require.ErrorIs(t, err, os.ErrNotExist)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	require.NoDirExists(t, dst+".partial")
	_, err := hubDatasetOf("o/n", nil).fetch(t.Context(), dst)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "is there already and is left as it is")

	for _, licence := range []any{"mit", nil} {
		h.licence = licence
		_, err := hubDatasetOf("o/n", nil).fetch(t.Context(), filepath.Join(t.TempDir(), "text"))
		require.NoError(t, err)
	}
}

// A file that is cut off, short or damaged is found out, nothing of the dataset's name is written, and the same command goes on with
// what had come.
func TestHubDatasetIsGoneOnWith(t *testing.T) {
	for want, spoil := range map[string]func(http.ResponseWriter, string){
		"two.txt of o/n was cut off on the way": func(w http.ResponseWriter, content string) {
			_, _ = w.Write([]byte(content[:3]))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"two.txt of o/n came with 3 of its 8 bytes": func(w http.ResponseWriter, content string) {
			w.Header().Del("Content-Length")
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte(content[:3]))
		},
		"two.txt of o/n came with the hash ": func(w http.ResponseWriter, content string) {
			_, _ = w.Write([]byte(strings.ToUpper(content)))
		},
	} {
		h := hubOf(t)
		delete(h.files, "same.txt")
		h.files["z.txt"] = "after\n"
		h.spoil["two.txt"] = spoil
		dst := filepath.Join(t.TempDir(), "text")
		_, err := hubDatasetOf("o/n", nil).fetch(t.Context(), dst)
		require.True(t, usererr.Is(err), want)
		require.ErrorContains(t, err, want)
		require.NoDirExists(t, dst)
		before := h.asked["data/one.jsonl"]

		h.spoil = nil
		_, err = hubDatasetOf("o/n", nil).fetch(t.Context(), dst)
		require.NoError(t, err, want)
		got, err := os.ReadFile(filepath.Join(dst, "two.txt"))
		require.NoError(t, err)
		require.Equal(t, "two two\n", string(got))
		require.Equal(t, 2, h.asked["two.txt"], want)
		require.Equal(t, max(before, 1), h.asked["data/one.jsonl"], "what has come is not fetched again")
	}
}

// What is in the way is one sentence, with the host and the way out; nothing is left behind.
func TestHubThatRefuses(t *testing.T) {
	h := hubOf(t)
	dst := filepath.Join(t.TempDir(), "text")
	fails := func(ctx context.Context, id, want string) {
		t.Helper()
		_, err := hubDatasetOf(id, nil).fetch(ctx, dst)
		require.True(t, usererr.Is(err) || ctx.Err() != nil, "%v", err)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
		require.NoDirExists(t, dst)
		require.NoDirExists(t, dst+".partial")
	}
	fails(t.Context(), "o/other", os.Getenv("HF_ENDPOINT")+" has no dataset o/other, or not at main (404)")
	fails(t.Context(), "o/n@0000", "has no dataset o/n, or not at 0000 (404)")
	h.status = http.StatusUnauthorized
	fails(t.Context(), "o/n", "answers 401 for the dataset o/n: it is private, its terms are to be accepted first, or it is not there; look at "+os.Getenv("HF_ENDPOINT")+"/datasets/o/n, and put a token that may read it into HF_TOKEN")
	h.status = http.StatusServiceUnavailable
	fails(t.Context(), "o/n", "answers 503 for the dataset o/n")
	h.status, h.cut = 0, true
	fails(t.Context(), "o/n", "cannot be reached (unexpected EOF)")
	h.cut, h.files = false, map[string]string{"b.bin": "\x00"}
	fails(t.Context(), "o/n", "none of the files of o/n has a name of text, JSON lines or Parquet (.gitattributes, b.bin)")
	h.files = map[string]string{"../out.txt": "out"}
	fails(t.Context(), "o/n", `has a file that is named "../out.txt", which leads out of its folder`)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	fails(stopped, "o/n", "context canceled")

	server := httptest.NewServer(h)
	server.Close()
	t.Setenv("HF_ENDPOINT", server.URL)
	fails(t.Context(), "o/n", server.URL+" cannot be reached (")
	fails(t.Context(), "o/n", "so that neither licence nor size of o/n is known here; fetch it by hand, on a machine that reaches it, with `hf download --repo-type dataset o/n --local-dir DIR`, and give DIR to --corpus, with --set data.field=NAME")
}
