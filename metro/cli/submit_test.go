// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The manifest is the one in testdata, which the tests of tools/ read with the types of Kubernetes.
func TestKubernetesManifest(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "kubernetes.yaml"))
	require.NoError(t, err)
	l := newLab(t)
	said, problems, code := l.inProcess(t.Context(), "ablate", "submit", "quickstart", "--engine", "kubernetes", "--image", "registry.example.org/metrolab:cpu",
		"--volume", "shared", "--seeds", "0,1", "--arm", "no relative position bias", "--cpus", "4", "--memory", "8Gi", "--dry-run")
	require.Equal(t, exitDone, code, problems)
	require.Equal(t, string(golden), said)
}

// The script is one for bash; its index ends as its command ends, is told of signals, and says whether it is to be queued again.
func TestSlurmScript(t *testing.T) {
	l := newLab(t)
	said, problems, code := l.metro("ablate", "submit", "aa-micro", "--engine", "slurm", "--set", "data.field=it's", "--shards", "2", "--option=--time=1:00:00", "--dry-run")
	require.Zero(t, code, problems)
	require.Contains(t, said, "#SBATCH --array=1-2\n#SBATCH --chdir="+l.dir+"\n#SBATCH --output=runs/aa-micro/slurm-%A_%a.out\n")
	require.Contains(t, said, "#SBATCH --time=1:00:00\n")
	require.Contains(t, said, binary+` ablate run aa-micro '--set=data.field=it'\''s' --shard "$SLURM_ARRAY_TASK_ID/2" &`)

	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash to run what is submitted; install it")
	}
	command := filepath.Join(l.dir, "command")
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "scontrol"), []byte("#!/bin/sh\necho \"$@\" >>queued\n"), 0o700))
	before, after, _ := strings.Cut(said, binary)
	_, after, _ = strings.Cut(after, "\n")
	for name, c := range map[string]struct {
		does, signal string
		codes        []int
		queued       bool
	}{
		"ends well":             {"exit 0", "", []int{0}, false},
		"diverges":              {"exit 3", "", []int{3}, false},
		"comes to its limit":    {"trap 'exit 75' USR1; echo up >up; while :; do sleep 0.05; done", "USR1", []int{75}, true},
		"is told at once":       {"trap '' USR1; kill -USR1 $PPID; sleep 0.1; exit 75", "", []int{75}, true},
		"ends as it is told":    {"kill -USR1 $PPID; kill -USR1 $$", "", []int{138, 255}, true},
		"is put away":           {"trap 'exit 75' TERM; echo up >up; while :; do sleep 0.05; done", "TERM", []int{75}, false},
		"ends before its limit": {"trap 'exit 0' USR1; echo up >up; while :; do sleep 0.05; done", "USR1", []int{0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range []string{"queued", "up"} {
				_ = os.Remove(filepath.Join(l.dir, file))
			}
			require.NoError(t, os.WriteFile(command, []byte("#!/bin/bash\n"+c.does+"\n"), 0o700))
			script := before + command + " &\n" + after
			if c.signal != "" {
				script = "(while [[ ! -e up ]]; do sleep 0.05; done; kill -" + c.signal + " $$) &\n" + script
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, bash, "-c", script)
			cmd.WaitDelay = time.Second // for what outlives the script, and holds its output open
			cmd.Dir = l.dir
			cmd.Env = append(os.Environ(), "PATH="+l.dir+":"+os.Getenv("PATH"), "SLURM_JOB_ID=17")
			out, _ := cmd.CombinedOutput()
			require.Contains(t, c.codes, cmd.ProcessState.ExitCode(), "%s", out)
			queued, _ := os.ReadFile(filepath.Join(l.dir, "queued"))
			require.Equal(t, c.queued, string(queued) == "requeue 17\n", "%s", queued)
		})
	}
}

// An index runs what was asked for: flags whose values are types of their own are passed on as they were given.
func TestSubmitPassesFlagsOn(t *testing.T) {
	l := newLab(t)
	said, problems, code := l.metro("ablate", "submit", "quickstart", "--engine", "slurm", "--margin", "0.02", "--devices", "2", "--seeds", "0,1", "--dry-run")
	require.Zero(t, code, problems)
	require.Contains(t, said, " ablate run quickstart --devices=2 --margin=0.02 --seeds=0,1 --shard ")
}

// What cannot be submitted is refused with a sentence.
func TestSubmitRefuses(t *testing.T) {
	l := newLab(t)
	for want, line := range map[string][]string{
		"it is slurm or kubernetes": {"--engine", "sge"},
		"the study has 12 runs":     {"--engine", "slurm", "--shards", "13"},
		"needs --image":             {"--engine", "kubernetes", "--image", "m"},
		"is one of sbatch's":        {"--engine", "kubernetes", "--image", "m", "--volume", "v", "--option", "-x"},
		"not on the volume":         {"--engine", "kubernetes", "--image", "m", "--volume", "v", "--out", "/tmp/runs"},
		"are for kubernetes":        {"--engine", "slurm", "--image", "m"},
		"path with spaces":          {"--engine", "slurm", "--out", "my runs"},
	} {
		_, said, code := l.inProcess(t.Context(), append([]string{"ablate", "submit", "quickstart", "--seeds", "0,1,2"}, line...)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, want)
	}
	cmd := l.command("ablate", "submit", "aa-micro", "--engine", "slurm")
	cmd.Env = append(cmd.Env, "PATH="+l.dir)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exitUser, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "sbatch is not installed here; runs/aa-micro/slurm.sh is written")
}
