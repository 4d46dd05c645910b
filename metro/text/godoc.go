// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"metrolab/internal/usererr"
)

// minWords is the length from which a comment paragraph is a document of the default corpus.
const minWords = 8

// licensePhrases mark a paragraph as licence text, in lower case.
var licensePhrases = []string{
	"copyright (c)", "copyright ©", "copyright 19", "copyright 20", "all rights reserved", "above copyright notice",
	"governed by a bsd-style license", "licensed under the", "unless required by applicable law", "spdx-license-identifier",
	"permission is hereby granted", "permission to use, copy, modify", "this software is provided", `software is provided "as is"`,
	"redistribution and use in source", "redistributions of source code", "redistributions in binary form",
}

// goSource is the default corpus: the comments of all .go files in the Go distribution's src outside testdata, vendored
// packages, tests and generated files included.
func goSource(ctx context.Context) (source, error) {
	root, err := findGoRoot(ctx, build.Default.GOROOT)
	if err != nil {
		return source{}, err
	}
	files, total, err := goFiles(filepath.Join(root, "src"))
	if err != nil {
		return source{}, fmt.Errorf("default corpus from the Go distribution %s: %w", root, err)
	}
	version := goVersion(root)
	src := source{fill: func(ctx context.Context, dir string, progress func(done, total int)) error {
		return fillFromGo(ctx, root, version, files, total, dir, progress)
	}}
	if version != "" {
		key := sha256.New()
		fmt.Fprintf(key, "godoc %d %s %s\n", extractorVersion, version, root)
		for _, f := range files {
			fmt.Fprintf(key, "%s %d %d\n", f.path, f.size, f.modified)
		}
		src.key = hex.EncodeToString(key.Sum(nil))
	}
	return src, nil
}

// findGoRoot returns the root of the Go distribution: $GOROOT, what `go env GOROOT` says (never downloading another
// toolchain), or the one that this program was built with.
func findGoRoot(ctx context.Context, builtWith string) (string, error) {
	hasSource := func(root string) bool {
		info, err := os.Stat(filepath.Join(root, "src"))
		return root != "" && err == nil && info.IsDir()
	}
	if root := os.Getenv("GOROOT"); hasSource(root) {
		return root, nil
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(soon, "go", "env", "GOROOT")
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	out, err := cmd.Output()
	if root := strings.TrimSpace(string(out)); err == nil && hasSource(root) {
		return root, nil
	}
	if hasSource(builtWith) {
		return builtWith, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return "", usererr.New("the default corpus is the documentation in the Go distribution, and there is none here: neither " +
		"$GOROOT nor `go env GOROOT` has a folder src; install Go, or write the corpus on a machine that has it with " +
		"`metro data export` and pass the file as --corpus PATH, or pass text of your own")
}

// goVersion reads the release from the file VERSION, as "1.26.5". A checkout that is no release has none and gives "".
func goVersion(root string) string {
	raw, _ := os.ReadFile(filepath.Join(root, "VERSION"))
	line, _, _ := strings.Cut(string(raw), "\n")
	return strings.TrimPrefix(strings.TrimSpace(line), "go")
}

func fillFromGo(ctx context.Context, root, version string, files []goFile, total int, dir string, progress func(done, total int)) error {
	b, err := newBuilder(dir, anyCase)
	if err != nil {
		return err
	}
	defer b.close()
	done := 0
	err = inOrder(ctx, files, readGoFile, func(f goFile) error {
		done += f.size
		progress(done, total)
		return b.addGo(f)
	})
	if err != nil {
		return fmt.Errorf("default corpus from the Go distribution %s: %w", root, err)
	}
	if b.empty() {
		return usererr.New("default corpus from the Go distribution %s: %d .go files in its src and no comment paragraph of %d words in them; set GOROOT to a whole distribution",
			root, b.stats.Files, minWords)
	}
	if version == "" {
		version = "(no release)"
	}
	return b.finish(manifest{Name: Default, Source: "comments of the Go distribution " + version})
}

// goFile is a file of the distribution, and what was found in it.
type goFile struct {
	path, label  string
	size         int
	modified     int64 // nanoseconds
	paragraphs   []string
	short        int64
	licenses     int64
	invalidBytes int64
}

// goFiles lists the .go files below src in path order, with the sum of their sizes.
func goFiles(src string) (files []goFile, total int, err error) {
	err = filepath.WalkDir(src, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !entry.Type().IsRegular() || filepath.Ext(name) != ".go":
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		files = append(files, goFile{path: name, label: importPath(path.Dir(filepath.ToSlash(rel))), size: int(info.Size()), modified: info.ModTime().UnixNano()})
		total += int(info.Size())
		return nil
	})
	return files, total, err
}

// importPath turns a folder of src into the path by which programs import the package: without the vendor folders.
func importPath(dir string) string {
	return strings.TrimPrefix(strings.TrimPrefix(dir, "cmd/vendor/"), "vendor/")
}

// readGoFile fills in the paragraphs of a file.
func readGoFile(f goFile) (goFile, error) {
	src, err := os.ReadFile(f.path)
	if err != nil {
		return f, err
	}
	src, f.invalidBytes = replaceInvalid(src)
	for _, p := range commentParagraphs(src) {
		switch {
		case strings.Count(p, " ")+1 < minWords:
			f.short++
		case isLicense(p):
			f.licenses++
		default:
			f.paragraphs = append(f.paragraphs, p)
		}
	}
	return f, nil
}

func isLicense(paragraph string) bool {
	lower := strings.ToLower(paragraph)
	for _, phrase := range licensePhrases {
		if strings.Contains(lower, phrase) {
			return true
		}
	}
	return false
}

// addGo adds the paragraphs of a file.
func (b *builder) addGo(f goFile) error {
	b.stats.Files++
	b.stats.Short += f.short
	b.stats.LicenseHeaders += f.licenses
	b.stats.InvalidBytes += f.invalidBytes
	for _, p := range f.paragraphs {
		for _, text := range pieces(p) {
			if err := b.add(text, f.label); err != nil {
				return err
			}
		}
	}
	return nil
}

// inOrder applies work to the items on all cores and hands the results to yield in the order of the items. A few results
// at a time are in memory. It ends at the first error, or with that of ctx.
func inOrder[T, R any](ctx context.Context, items []T, work func(T) (R, error), yield func(R) error) error {
	type result struct {
		value R
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan result, 2*runtime.GOMAXPROCS(0))
	go func() {
		defer close(queue)
		for _, item := range items {
			slot := make(chan result, 1)
			select {
			case queue <- slot:
			case <-ctx.Done():
				return
			}
			go func() {
				value, err := work(item)
				slot <- result{value, err}
			}()
		}
	}()
	for slot := range queue {
		r := <-slot
		if r.err != nil {
			return r.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(r.value); err != nil {
			return err
		}
	}
	return ctx.Err()
}
