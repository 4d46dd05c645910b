// SPDX-License-Identifier: Apache-2.0

package text

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"metrolab/internal/atomicfile"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
)

// Export writes a copy of the corpus to dst: one .tar.gz or .tgz file if it is named so, else a folder. [Prepare] takes
// either on any machine. Equal corpora make equal archives. What is at dst already is left alone and reported as the
// user's mistake; a damaged corpus is not copied.
func (c *Corpus) Export(dst string) error {
	if _, err := os.Lstat(dst); err == nil {
		return usererr.New("export of corpus %s: %s is there already and is left as it is; remove it or choose another name", c.Name, dst)
	}
	if err := c.Verify(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(dst)); err != nil {
		return usererr.New("export of corpus %s to %s: %w", c.Name, dst, err)
	}
	var err error
	if isArchive(dst) {
		err = atomicfile.WriteFunc(dst, c.writeArchive)
	} else {
		err = atomicfile.WriteDir(dst, c.writeFolder)
	}
	if err != nil {
		return fmt.Errorf("export corpus %s to %s: %w", c.Name, dst, err)
	}
	return nil
}

// corpusFiles are the files of a prepared corpus, the manifest first.
func corpusFiles() []string {
	names := []string{manifestName}
	for _, split := range Splits {
		names = append(names, fileName(split))
	}
	return names
}

func (c *Corpus) writeFolder(dir string) error {
	for _, name := range corpusFiles() {
		in, err := os.Open(filepath.Join(c.Dir, name))
		if err != nil {
			return err
		}
		err = writeFile(filepath.Join(dir, name), in)
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// writeFile copies content into a new file.
func writeFile(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func (c *Corpus) writeArchive(w io.Writer) error {
	zip := gzip.NewWriter(w)
	tape := tar.NewWriter(zip)
	for _, name := range corpusFiles() {
		if err := addToArchive(tape, filepath.Join(c.Dir, name), path.Join(c.Name, name)); err != nil {
			return err
		}
	}
	return errors.Join(tape.Close(), zip.Close())
}

func addToArchive(tape *tar.Writer, file, name string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := tape.WriteHeader(&tar.Header{Name: name, Size: info.Size(), Mode: 0o644, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(tape, f)
	return err
}

// archiveSource is a corpus that Export wrote to a file.
func archiveSource(file string, info os.FileInfo) source {
	abs, err := filepath.Abs(file)
	if err != nil {
		abs = file
	}
	return source{
		key: fmt.Sprintf("archive %d %q %d %d", extractorVersion, abs, info.Size(), info.ModTime().UnixNano()),
		sum: func(ctx context.Context) (string, error) { return contentSum(ctx, []textFile{{path: file}}) },
		fill: func(ctx context.Context, dir string, progress func(done, total int)) error {
			return unpack(ctx, file, int(info.Size()), dir, progress)
		},
	}
}

// unpack writes the files of an archive into dir under their fixed names, whatever folder they are in there, and checks
// them against their manifest. An archive with anything else in it is refused.
func unpack(ctx context.Context, file string, total int, dir string, progress func(done, total int)) error {
	f, err := os.Open(file)
	if err != nil {
		return usererr.New("corpus %s: %w", file, err)
	}
	defer f.Close()
	done := 0
	raw := &trackedReader{r: f, read: func(n int) error {
		done += n
		progress(min(done, total), total)
		return ctx.Err()
	}}
	if err := unpackEntries(raw, total, dir); raw.stopped != nil {
		return raw.stopped
	} else if err != nil {
		return usererr.New("corpus %s (%d bytes) cannot be unpacked: %w", file, total, err)
	}
	c, err := Open(dir)
	if err == nil {
		err = c.Verify()
	}
	if err != nil {
		return usererr.New("corpus %s does not hold a whole corpus: %w", file, err)
	}
	return nil
}

func unpackEntries(r io.Reader, size int, dir string) error {
	zip, err := unpacked(packed.Gzip, r, size)
	if err != nil {
		return err
	}
	tape := tar.NewReader(zip)
	for {
		entry, err := tape.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, zip) // the checksum stands at the end
			return err
		}
		if err != nil {
			return err
		}
		name, ok := corpusEntry(entry)
		if !ok {
			return fmt.Errorf("its entry %q does not belong to a prepared corpus, which is all that is read from an archive; unpack it and give the folder", entry.Name)
		}
		if name == "" {
			continue
		}
		if err := writeFile(filepath.Join(dir, name), tape); err != nil {
			return err
		}
	}
}

// corpusEntry returns the file of a corpus that an entry holds, or "" for a folder.
func corpusEntry(entry *tar.Header) (name string, ok bool) {
	clean := path.Clean(entry.Name)
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", false
	}
	folder, name := path.Split(clean)
	switch {
	case entry.Typeflag == tar.TypeDir:
		return "", folder == ""
	case entry.Typeflag != tar.TypeReg || path.Dir(path.Clean(folder)) != ".":
		return "", false
	}
	for _, known := range corpusFiles() {
		if name == known {
			return name, true
		}
	}
	return "", false
}
