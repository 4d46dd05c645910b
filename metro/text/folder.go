// SPDX-License-Identifier: Apache-2.0

package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"metrolab/internal/packed"
)

// listing is what lies at a path to text: the files to read, in lexical order, and what is passed over.
type listing struct {
	root   string
	files  []textFile
	passed passedOver
}

type textFile struct {
	path, label string
	size        int
	modified    int64 // nanoseconds
}

// passedOver holds the labels of what is not read, by the reason.
type passedOver map[reason][]string

// reason is why something is passed over: a noun for one, and for many.
type reason struct{ one, many string }

var (
	otherKind  = reason{"file of another kind", "files of other kinds"}
	folderLink = reason{"link to a folder", "links to folders"}
	brokenLink = reason{"dangling link", "dangling links"}
	hidden     = reason{"hidden file or folder", "hidden files and folders"}
	unreadable = reason{"file or folder that may not be read", "files and folders that may not be read"}
	noFile     = reason{"device, pipe or socket", "devices, pipes and sockets"}
	wordless   = reason{"file without a word", "files without a word"}
)

var reasons = []reason{otherKind, folderLink, brokenLink, hidden, unreadable, noFile, wordless}

// list lists the file root itself, or the text files below it: those named .txt or .md, those of FASTA, those whose names end as
// o.Files says and, if a field of them is to be
// read, those of JSON, packed or not, and of Parquet. Links to files are followed, links to folders are not.
func list(root string, o Options) (listing, error) {
	l := listing{root: root, passed: passedOver{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if path == root && err != nil {
			return err
		}
		label, relErr := filepath.Rel(root, path)
		if relErr != nil {
			return relErr
		}
		if path == root {
			label = filepath.Base(path)
		}
		label = strings.ToValidUTF8(filepath.ToSlash(label), "\uFFFD")
		pass := func(why reason) error {
			l.passed[why] = append(l.passed[why], label)
			return nil
		}
		switch {
		case err != nil:
			_ = pass(unreadable)
			return fs.SkipDir // which it is: what is no folder is not read here
		case path != root && strings.HasPrefix(entry.Name(), "."):
			_ = pass(hidden)
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		info, err := os.Stat(path)
		switch {
		case err != nil && path != root && entry.Type()&fs.ModeSymlink != 0:
			return pass(brokenLink)
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil // it has gone since the folder was read
		case err != nil:
			return err
		case info.IsDir():
			return pass(folderLink)
		case !info.Mode().IsRegular():
			return pass(noFile)
		case path != root && !isText(path) && !isFASTA(path) && !o.takes(path) && !(o.Field != "" && hasFields(path)):
			return pass(otherKind)
		case path != root && !mayRead(path):
			return pass(unreadable)
		}
		l.files = append(l.files, textFile{path: path, label: label, size: int(info.Size()), modified: info.ModTime().UnixNano()})
		return nil
	})
	return l, err
}

func isText(path string) bool { return slices.Contains([]string{".txt", ".md"}, extension(path)) }

// hasFields reports whether a file's name is that of a kind whose texts are in fields.
func hasFields(path string) bool {
	k := byName[extension(path)]
	return k == kindJSON || k == kindParquet && packed.Trim(path) == path
}

func mayRead(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrPermission) // any other failure is met when it is read, and told
	}
	f.Close()
	return true
}

// String says what is passed over, in a line; it is empty if nothing is.
func (p passedOver) String() string {
	var parts []string
	for _, why := range reasons {
		if names := p[why]; len(names) > 0 {
			parts = append(parts, counted(len(names), why.one, why.many)+" ("+enumerate(names, 3)+")")
		}
	}
	return strings.Join(parts, ", ")
}

// inBrackets is the same for the end of a sentence.
func (p passedOver) inBrackets() string {
	if s := p.String(); s != "" {
		return " (passed over: " + s + ")"
	}
	return ""
}

// counted writes a number before a noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// enumerate names the first few of a list, such that no name can look like something else.
func enumerate(names []string, few int) string {
	var shown []string
	for _, name := range names[:min(len(names), few)] {
		if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ',' }) || len(name) > 80 {
			name = fmt.Sprintf("%.80q", name)
		}
		shown = append(shown, name)
	}
	if more := len(names) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(shown, ", ")
}
