// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// startedIn is the source in the working directory when the program first asked: later changes are not part of it.
var startedIn = sync.OnceValue(func() Source { return workingSource(".") })

// workingSource asks git about a directory: a program started by `go run` or `go test` has no commit stamped in.
func workingSource(dir string) Source {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	commit, err := git(ctx, dir, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return Source{}
	}
	changes, err := git(ctx, dir, "status", "--porcelain")
	return Source{Commit: commit, Dirty: err != nil || changes != "", From: "working directory"}
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "--no-optional-locks"}, args...)...)
	out, err := command.Output()
	return strings.TrimSpace(string(out)), err
}
