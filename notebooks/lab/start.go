// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/cell"
	"metrolab/notebooks/lab/internal/wire"
)

// start starts the worker of a place, and waits until it listens there.
func start(ctx context.Context, p wire.Place) error {
	program, err := build(ctx, p)
	if err != nil {
		return err
	}
	if err := os.Remove(p.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a worker that was killed
		return err
	}
	log, err := os.Create(p.Log())
	if err != nil {
		return usererr.New("start the lab's worker: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(program, p.Root, p.Sources, p.Socket)
	cmd.Stdout, cmd.Stderr = log, log
	cell.Detach(cmd)
	if err := cmd.Start(); err != nil {
		return usererr.New("start the lab's worker: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	const patience = time.Minute
	for began := time.Now(); time.Since(began) < patience; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			return usererr.New("the lab's worker has ended at once (%v)%s", err, lastOf(p.Log()))
		default:
		}
		if there(p.Socket) {
			return nil
		}
	}
	_ = cmd.Process.Kill()
	return usererr.New("the lab's worker has not begun to listen at %s after %s%s", p.Socket, patience, lastOf(p.Log()))
}

// build returns the worker's program, built now unless it was built before of the same sources. Those of former sources are
// removed; a worker that still runs needs its file no longer.
func build(ctx context.Context, p wire.Place) (program string, err error) {
	cache, err := text.CacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "workers")
	dir := filepath.Join(folder, p.Program())
	program = filepath.Join(dir, "worker")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := atomicfile.MkdirAll(folder); err != nil {
		return "", text.CacheError(cache, err)
	}
	former, _ := filepath.Glob(filepath.Join(folder, p.Programs()+"*")) // the pattern is well formed
	err = atomicfile.OS.WriteDir(dir, func(temp string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(temp, "worker"), "./notebooks/lab/worker")
		cmd.Dir = p.Root
		out, err := cmd.CombinedOutput()
		switch {
		case ctx.Err() != nil:
			return training.ErrInterrupted
		case err != nil:
			return usererr.New("the lab's worker does not build in %s: %w; %s", p.Root, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", text.CacheError(cache, err)
	}
	for _, old := range former {
		_ = os.RemoveAll(old)
	}
	return program, nil
}
