// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"metrolab/internal/usererr"
)

// Place is where a cell and its worker meet.
type Place struct {
	Root    string // of the checkout whose sources the worker is built of
	Sources string // digits of their hash
	Build   string // digits of all that decides what the go command makes of them
	Socket  string
}

// Here is the place of this program's worker.
func Here() (Place, error) {
	root, err := checkout()
	if err != nil {
		return Place{}, err
	}
	sources, err := hashSources(root)
	if err != nil {
		return Place{}, fmt.Errorf("look at the sources of %s: %w", root, err)
	}
	folder, err := Folder()
	if err != nil {
		return Place{}, err
	}
	dir, err := os.Getwd() // from which relative paths lead
	if err != nil {
		return Place{}, usererr.New("which is the working directory? %w", err)
	}
	p := Place{Root: root, Sources: sources, Build: digits(runtime.Version() + variables(building...))}
	p.Socket = filepath.Join(folder, p.checkout()+"-"+sources+"-"+digits(p.Build+dir+variables(telling...))+".socket")
	const longest = 100 // of a socket's path; Linux takes 107 bytes, macOS 103
	if len(p.Socket) > longest {
		return p, usererr.New("%s is too long for the path of a socket; set XDG_RUNTIME_DIR to a shorter folder of your own", p.Socket)
	}
	return p, nil
}

func (p Place) checkout() string { return digits(p.Root)[:8] }

// Program is the name of the worker's program, and Programs begins the names of all that were built of the same checkout.
func (p Place) Program() string { return p.Programs() + p.Sources + "-" + p.Build }

// Programs is explained at [Place.Program].
func (p Place) Programs() string { return p.checkout() + "-" }

// Log is the file of what the worker has printed.
func (p Place) Log() string { return strings.TrimSuffix(p.Socket, ".socket") + ".log" }

// Lock is the file that who starts or ends the worker locks.
func (p Place) Lock() string { return strings.TrimSuffix(p.Socket, ".socket") + ".lock" }

// Former are the sockets of workers of the same checkout from before its sources changed.
func (p Place) Former() (sockets []string) {
	list, _ := filepath.Glob(filepath.Join(filepath.Dir(p.Socket), p.checkout()+"-*.socket")) // the pattern is well formed
	return slices.DeleteFunc(list, func(socket string) bool {
		return strings.HasPrefix(filepath.Base(socket), p.checkout()+"-"+p.Sources+"-")
	})
}

// Folder is the folder of this user's sockets, which is made if there is none. One that others may enter, or that is
// another's, is the user's error.
func Folder() (string, error) {
	parent := os.Getenv("XDG_RUNTIME_DIR")
	if parent == "" {
		parent = os.TempDir()
	}
	dir := filepath.Join(parent, fmt.Sprintf("metrolab-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", usererr.New("no folder for the worker's socket: %w; set XDG_RUNTIME_DIR to a folder of your own", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", usererr.New("no folder for the worker's socket: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !owned(info) {
		return "", usererr.New("%s is not a folder that you alone may enter; remove it, or set XDG_RUNTIME_DIR to a folder of your own", dir)
	}
	return dir, nil
}

// checkout is the folder of the module that this program was built of.
func checkout() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
	if !filepath.IsAbs(root) { // built with -trimpath
		root = os.Getenv("METROLAB_ROOT")
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return "", usererr.New("the sources of this program are not in %q any more, of which its worker is built: %w", root, err)
	}
	return root, nil
}

// rooms hold all that a worker is built of.
var rooms = []string{"go.mod", "go.sum", "ablations", "internal", "layers", "metro", "notebooks/lab", "notebooks/view", "viz"}

// hashSources hashes the names and the contents of all that a worker is built of, tests left out.
func hashSources(root string) (string, error) {
	hash := sha256.New()
	for _, room := range rooms {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, entry fs.DirEntry, err error) error {
			name := filepath.Base(path)
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (name == "testdata" || strings.HasPrefix(name, ".")):
				return fs.SkipDir
			case !entry.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "."):
				return nil
			}
			text, err := os.ReadFile(path)
			if err == nil {
				fmt.Fprintf(hash, "%q %d\n", strings.TrimPrefix(path, root), len(text))
				hash.Write(text)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// building begin the names of variables that the go command reads, and telling those of all that change what a worker does.
var (
	building = []string{"GO", "CGO_", "CC", "CXX"}
	telling  = append([]string{"METROLAB_", "XLA_", "TF_", "PJRT_", "CUDA_", "NVIDIA_", "CUBLAS_", "LD_", "OMP_", "HOME", "XDG_", "TMPDIR", "TZ"}, building...)
)

// variables are those of the environment whose names begin so, but the kernel's own.
func variables(prefixes ...string) string {
	var list []string
	for _, variable := range os.Environ() {
		begins := func(prefix string) bool { return strings.HasPrefix(variable, prefix) }
		if !begins("GONB_") && slices.ContainsFunc(prefixes, begins) {
			list = append(list, variable)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// digits of a text's hash.
func digits(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:12]
}
