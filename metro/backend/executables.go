// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/machine"
)

// CacheExecutables makes XLA on the processor keep the programs that it compiles in the folder dir, and load them from there the
// next time, in this process and in others; "" keeps none, as at the beginning. What is loaded computes what was compiled, bit
// for bit: the key of a program is a hash of its graph and of all that a compilation depends on, which is the plugin's content,
// the processor's features and the number of its cores, and the variables of the environment that XLA reads. A damaged file is
// compiled again and said; where the folder cannot be used, that is said once, and everything goes on without it.
//
// A program is machine code. So the folder must be the user's own, closed to the writing of others.
func CacheExecutables(dir string) {
	if dir == "" {
		cached.Store(nil)
		return
	}
	cached.Store(&executables{dir: dir, most: mostExecutables})
}

// Compilations counts the programs that XLA on the processor has compiled in this process, and those that it has loaded from
// the cache instead.
func Compilations() (compiled, loaded int64) { return compilations.Load(), loads.Load() }

// WatchMemory has watch called with what each program takes that XLA compiles for a device that is here from now on; nil ends it.
// What is loaded from the cache is not compiled.
func WatchMemory(watch func(DeviceMemory, error)) {
	if watch == nil {
		watching.Store(nil)
		return
	}
	watching.Store(&watch)
}

var (
	watching            atomic.Pointer[func(DeviceMemory, error)]
	cached              atomic.Pointer[executables]
	compilations, loads atomic.Int64
)

// mostExecutables is the size in bytes up to which a cache grows: those of a few hundred small models, or some dozen large ones.
const mostExecutables = 1 << 30

// executables is a folder of compiled programs, in which a file is the SHA-256 of what follows it, and then the program as the
// plugin wrote it.
type executables struct {
	dir  string
	most int64 // bytes
	said sync.Once
}

// keyOf is the file name of the program that a plugin makes of the parts on this machine.
func keyOf(plugin string, parts ...[]byte) string {
	model, _ := machine.CPU()
	sum := sha256.New()
	fmt.Fprintf(sum, "1 %s %q %q %d", shortSum(plugin), model, machine.Flags(), runtime.NumCPU())
	fmt.Fprintf(sum, " %q", os.Getenv("XLA_FLAGS"))
	for _, part := range parts {
		fmt.Fprintf(sum, " %d ", len(part))
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil)) + ".xla"
}

// load returns the program of a key, nil if there is none that is whole.
func (e *executables) load(key string) []byte {
	path := filepath.Join(e.dir, key)
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = e.own()
	}
	if err != nil {
		e.fail(err)
		return nil
	}
	if len(file) < sha256.Size || sha256.Sum256(file[sha256.Size:]) != [sha256.Size]byte(file[:sha256.Size]) {
		e.damaged(key, errors.New("its checksum is another"))
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // what is used stays for longest
	return file[sha256.Size:]
}

// sealed is the content of a program's file.
func sealed(program []byte) []byte {
	sum := sha256.Sum256(program)
	return slices.Concat(sum[:], program)
}

// damaged says that the file of a key is of no use, and that its program is compiled.
func (e *executables) damaged(key string, why error) {
	slog.Warn(fmt.Sprintf("the compiled program %s is damaged and is compiled again: %v", filepath.Join(e.dir, key), why))
}

// fail says once why the folder cannot be used.
func (e *executables) fail(err error) {
	e.said.Do(func() {
		slog.Warn(fmt.Sprintf("compiled programs are not kept: %v; everything else goes on, and each process compiles what it needs", err))
	})
}

// own makes sure that nobody else can write to the folder.
func (e *executables) own() error {
	info, err := os.Stat(e.dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may write to %s (mode %o), which holds machine code; chmod go-w it", e.dir, mode)
	}
	return nil
}

// keep writes the program of a key, and removes those that were not used for longest from a folder that has grown too large.
func (e *executables) keep(key string, program []byte) {
	err := os.MkdirAll(e.dir, 0o700)
	if err == nil {
		err = e.own()
	}
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(e.dir, key), sealed(program))
	}
	if err != nil {
		e.fail(err)
		return
	}
	e.prune()
}

// prune removes the programs that were not used for longest until the rest is no larger than e.most.
func (e *executables) prune() {
	entries, _ := os.ReadDir(e.dir)
	var files []fs.FileInfo
	var size int64
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(info.Name(), ".xla") {
			files, size = append(files, info), size+info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, file := range files {
		if size <= e.most {
			return
		}
		_ = os.Remove(filepath.Join(e.dir, file.Name())) // another process may have removed it
		size -= file.Size()
	}
}
