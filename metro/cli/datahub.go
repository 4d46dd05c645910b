// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/sha1" // what git names files by
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/gomlx/go-huggingface/hub"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// hubDataset is a dataset of the Hugging Face hub, by its id OWNER/NAME or OWNER/NAME@COMMIT.
type hubDataset struct {
	id, revision string
	ends         []string // of names of further files that are text
}

func hubDatasetOf(id string, ends []string) hubDataset {
	id, revision, named := strings.Cut(id, "@")
	if !named {
		revision = "main"
	}
	return hubDataset{id: id, revision: revision, ends: ends}
}

// fetch writes the dataset's files of text into a new folder, and returns their size in bytes. What has come lies in DST.partial
// until all has, so that a fetch that was cut off goes on, a file at a time. Each file is compared with the size and the hash that
// the hub gives for it.
func (d hubDataset) fetch(ctx context.Context, dst string) (int64, error) {
	if _, err := os.Lstat(dst); err == nil {
		return 0, usererr.New("%s is there already and is left as it is; use it with --corpus %s, or choose another folder with --to", dst, dst)
	}
	dst = filepath.Clean(dst)
	partial := dst + ".partial"
	wire := &hubWire{ctx: ctx, next: http.DefaultTransport}
	http.DefaultTransport = wire // which the package asks through, and cannot be given another
	defer func() { http.DefaultTransport = wire.next }()
	repo := hub.New(d.id).WithType(hub.RepoTypeDataset).WithRevision(d.revision).WithCacheDir(partial).WithAuth(os.Getenv("HF_TOKEN"))
	repo.Verbosity = 0
	if err := repo.DownloadInfo(true); err != nil {
		return 0, errors.Join(d.explain(wire, err), removeEmpty(partial))
	}
	files, total, err := d.texts(repo.Info())
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(partial))
	}
	say(fmt.Sprintf("%s at commit %.10s: licence %s; %d files, %s", d.id, repo.Info().CommitHash, d.licence(repo.Info()), len(files), size(total)))
	bar, done := newBar("fetching"), int64(0)
	defer bar.finish()
	fetched := map[string]string{}
	for _, f := range files {
		bar.describe(int(done), int(total), f.Name)
		path, err := repo.DownloadFileCtx(ctx, f.Name)
		if err != nil {
			return 0, d.explain(wire, err)
		}
		if err := d.check(path, f); err != nil {
			return 0, err
		}
		fetched[f.Name] = path
		done += sizeOf(f)
	}
	bar.finish()
	err = atomicfile.WriteDir(dst, func(dir string) error {
		for name, path := range fetched {
			if err := linkInto(filepath.Join(dir, filepath.FromSlash(name)), path); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, os.RemoveAll(partial)
}

// texts are the files of text, and their size together.
func (d hubDataset) texts(info *hub.RepoInfo) (files []*hub.FileInfo, total int64, err error) {
	reading := text.Options{Files: d.ends}
	var passed []string
	for _, f := range info.Siblings {
		switch {
		case !filepath.IsLocal(filepath.FromSlash(f.Name)):
			return nil, 0, usererr.New("%s has a file that is named %q, which leads out of its folder; nothing is fetched", d.id, f.Name)
		case f.Name == "README.md" || f.Name == "dataset_infos.json": // about the data
		case reading.MayRead(f.Name):
			files, total = append(files, f), total+sizeOf(f)
		default:
			passed = append(passed, f.Name)
		}
	}
	if len(files) > 0 {
		return files, total, nil
	}
	return nil, 0, usererr.New("none of the files of %s has a name of text, JSON lines or Parquet (%s); name the ends of those that are text by --files, such as --files train",
		d.id, strings.Join(passed[:min(len(passed), 5)], ", "))
}

func sizeOf(f *hub.FileInfo) int64 {
	if f.LFS != nil {
		return f.LFS.Size
	}
	return f.Size
}

func (d hubDataset) licence(info *hub.RepoInfo) string {
	if info.CardData == nil || info.CardData.License == "" {
		return "not stated"
	}
	return info.CardData.License
}

// check compares a file with what the hub says of it. The package reports a file that was cut off as fetched.
func (d hubDataset) check(path string, f *hub.FileInfo) error {
	there, err := filepath.EvalSymlinks(path)
	if err != nil {
		return usererr.New("%s of %s was cut off on the way; the same command goes on with it", f.Name, d.id)
	}
	want, sum := f.BlobID, hash.Hash(sha1.New())
	if f.LFS != nil {
		want, sum = f.LFS.SHA256, sha256.New()
	} else {
		fmt.Fprintf(sum, "blob %d\x00", f.Size)
	}
	file, err := os.Open(there)
	if err != nil {
		return err
	}
	n, err := io.Copy(sum, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case n != sizeOf(f):
		err = usererr.New("%s of %s came with %s of its %s bytes; the same command fetches it again", f.Name, d.id, humanize.Comma(n), humanize.Comma(sizeOf(f)))
	case want != "" && got != want:
		err = usererr.New("%s of %s came with the hash %.12s…, and the hub says %.12s…: it is damaged; the same command fetches it again", f.Name, d.id, got, want)
	default:
		return nil
	}
	return errors.Join(err, os.Remove(path), os.Remove(there))
}

// explain says what was in the way.
func (d hubDataset) explain(wire *hubWire, err error) error {
	byHand := fmt.Sprintf("fetch it by hand, on a machine that reaches it, with `hf download --repo-type dataset %s --local-dir DIR`, and give DIR to --corpus, with --set data.field=NAME for the column of its Parquet or JSON files", d.id)
	switch {
	case wire.ctx.Err() != nil:
		return wire.ctx.Err()
	case wire.status == http.StatusUnauthorized || wire.status == http.StatusForbidden:
		return usererr.New("%s answers %d for the dataset %s: it is private, its terms are to be accepted first, or it is not there; look at %s/datasets/%s, and put a token that may read it into HF_TOKEN",
			wire.host, wire.status, d.id, wire.host, d.id)
	case wire.status == http.StatusNotFound:
		return usererr.New("%s has no dataset %s, or not at %s (404); look for its name there", wire.host, d.id, d.revision)
	case wire.status != 0:
		return usererr.New("%s answers %d for the dataset %s (%w); try again later, or %s", wire.host, wire.status, d.id, err, byHand)
	case wire.failed != nil:
		return usererr.New("%s cannot be reached (%w), so that neither licence nor size of %s is known here; %s", wire.host, wire.failed, d.id, byHand)
	}
	return usererr.New("the dataset %s cannot be fetched (%w); %s", d.id, err, byHand)
}

// hubWire is what go-huggingface's requests go through. It remembers why the last one failed, of which the package tells in words
// alone, and it leaves of what the hub says of a dataset what is read here: the package takes a licence to be one text, and for
// many datasets it is a list.
type hubWire struct {
	ctx  context.Context
	next http.RoundTripper

	host   string // of the last request
	status int    // that it was refused with; 0 for none
	failed error  // why there was no answer
}

// RoundTrip implements [http.RoundTripper].
func (w *hubWire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.host, w.status, w.failed = r.URL.Scheme+"://"+r.URL.Host, 0, nil
	resp, err := w.next.RoundTrip(r.WithContext(w.ctx))
	if err != nil {
		w.failed = err
		return resp, err
	}
	if resp.StatusCode >= 400 {
		w.status = resp.StatusCode
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(r.URL.Path, "/api/datasets/") {
		return resp, nil
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostHubInfo))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		w.failed = err
		return nil, err
	}
	raw = withOneLicence(raw)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	return resp, nil
}

// mostHubInfo bounds what the hub says of a dataset: it lists every file.
const mostHubInfo = 256 << 20

// withOneLicence leaves of the hub's JSON the commit, the files and the licence, as one text. What is no such JSON stays.
func withOneLicence(raw []byte) []byte {
	var info struct {
		SHA      string          `json:"sha"`
		Siblings json.RawMessage `json:"siblings"`
		CardData struct {
			License any `json:"license"`
		} `json:"cardData"`
	}
	if json.Unmarshal(raw, &info) != nil || info.SHA == "" || info.Siblings == nil {
		return raw
	}
	switch licence := info.CardData.License.(type) {
	case nil:
		info.CardData.License = ""
	case []any:
		info.CardData.License = strings.Trim(fmt.Sprint(licence), "[]")
	default:
		info.CardData.License = fmt.Sprint(licence)
	}
	short, err := json.Marshal(info)
	if err != nil {
		return raw
	}
	return short
}

// linkInto puts a file at another place of the same disk, without a copy where the disk has links.
func linkInto(to, from string) error {
	from, err := filepath.EvalSymlinks(from)
	if err == nil {
		err = atomicfile.OS.MkdirAll(filepath.Dir(to))
	}
	if err != nil || os.Link(from, to) == nil {
		return err
	}
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	return atomicfile.WriteFunc(to, func(w io.Writer) error {
		_, err := io.Copy(w, file)
		return err
	})
}

// removeEmpty removes a folder in which nothing has come.
func removeEmpty(partial string) error {
	blobs, err := filepath.Glob(filepath.Join(partial, "*", "blobs", "*"))
	if err != nil || len(blobs) > 0 {
		return err
	}
	return os.RemoveAll(partial)
}
