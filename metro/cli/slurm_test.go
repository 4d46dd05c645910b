// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
)

// cluster is Slurm on this machine alone: a munged, a slurmctld, and two nodes of one core.
type cluster struct {
	t   *testing.T
	dir string
}

func newCluster(t *testing.T) cluster {
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; apt-get install slurmctld slurmd slurm-client munge", program)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("slurmd starts jobs as root only; run it as root")
	}
	c := cluster{t, t.TempDir()}
	key := make([]byte, 1024)
	_, _ = rand.Read(key)
	require.NoError(t, os.WriteFile(c.path("munge.key"), key, 0o400))
	require.NoError(t, os.Mkdir(c.path("state"), 0o700))
	conf := fmt.Sprintf(`ClusterName=metro
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%[2]d
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=%[1]s/munge.sock
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool-%%n
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmdPidFile=%[1]s/slurmd-%%n.pid
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=%[3]d CPUs=1
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=%[4]d CPUs=1
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=60
`, c.dir, freePort(t), freePort(t), freePort(t))
	require.NoError(t, os.WriteFile(c.path("slurm.conf"), []byte(conf), 0o600))
	c.daemon("munged", "-F", "--force", "--key-file="+c.path("munge.key"), "--socket="+c.path("munge.sock"), "--pid-file="+c.path("munged.pid"),
		"--log-file="+c.path("munged.log"), "--seed-file="+c.path("munged.seed"))
	require.Eventually(t, func() bool { _, err := os.Stat(c.path("munge.sock")); return err == nil }, time.Minute, 50*time.Millisecond)
	c.daemon("slurmctld", "-D", "-f", c.path("slurm.conf"))
	c.daemon("slurmd", "-D", "-N", "n1", "-f", c.path("slurm.conf"))
	c.daemon("slurmd", "-D", "-N", "n2", "-f", c.path("slurm.conf"))
	require.Eventually(t, func() bool { out, _ := c.try("sinfo", "-h", "-o", "%D %t"); return out == "2 idle" }, 2*time.Minute, 200*time.Millisecond)
	return c
}

func (c cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c cluster) env() []string { return append(os.Environ(), "SLURM_CONF="+c.path("slurm.conf")) }

// daemon starts a program that is stopped when the test ends.
func (c cluster) daemon(name string, args ...string) {
	cmd := exec.Command(name, args...)
	cmd.Env = c.env()
	log, err := os.OpenFile(c.path(name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(c.t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(c.t, cmd.Start())
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = log.Close()
	})
}

func (c cluster) try(words ...string) (string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = c.env()
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do runs a command of Slurm's, and writes it down with what it says.
func (c cluster) do(words ...string) string {
	c.t.Helper()
	out, err := c.try(words...)
	require.NoError(c.t, err, "%v: %s", words, out)
	c.t.Logf("$ %s\n%s", strings.Join(words, " "), out)
	return out
}

func freePort(t *testing.T) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// A study of six runs on a real Slurm of two nodes. In the middle one node is drained and its job is queued again: the study is
// the one that a single process trains, and every run was finished exactly once.
func TestSlurmTrainsAStudy(t *testing.T) {
	if often(0, 1) == 0 {
		t.Skip("takes minutes; set METROLAB_TEST_LONG=1, as ./scripts/test --long does")
	}
	c, l := newCluster(t), newLab(t)
	longer := func(out string, more ...string) []string {
		line := l.study(out, more...)
		line[slices.Index(line, "training.steps=20")] = "training.steps=300"
		line[slices.Index(line, "training.eval_every=10")] = "training.eval_every=150"
		line[slices.Index(line, "training.checkpoint_every=5")] = "training.checkpoint_every=25"
		return line
	}
	_, stderr, code := l.metro(longer("whole")...)
	require.Zero(t, code, stderr)

	line := longer("runs", "--engine", "slurm", "--cpus", "1")
	line[1] = "submit"
	submit := l.command(line...)
	submit.Env = append(submit.Env, "SLURM_CONF="+c.path("slurm.conf"))
	out, err := submit.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("$ metro ablate submit aa-micro --engine slurm\n%s", out)

	require.Eventually(t, func() bool { // two runs are well under way
		saved, _ := filepath.Glob(filepath.Join(l.dir, "runs", "micro-*", "checkpoints", "step-*"))
		running, _ := c.try("squeue", "-h", "-t", "R", "-o", "%i")
		return len(saved) >= 2 && len(strings.Fields(running)) == 2
	}, 5*time.Minute, 50*time.Millisecond)
	c.do("squeue")
	job := c.do("squeue", "-h", "-t", "R", "-w", "n1", "-o", "%A")
	c.do("scontrol", "update", "nodename=n1", "state=drain", "reason=test")
	c.do("scontrol", "requeue", job)
	time.Sleep(3 * time.Second)
	c.do("sinfo")
	c.do("squeue")
	require.Contains(t, c.do("scontrol", "show", "job", "-o", job), "Restarts=1")
	_, _ = c.try("scontrol", "update", "jobid="+job, "StartTime=now") // Slurm waits two minutes by itself
	time.Sleep(3 * time.Second)
	c.do("scontrol", "update", "nodename=n1", "state=resume")
	require.Eventually(t, func() bool { left, err := c.try("squeue", "-h"); return err == nil && left == "" }, 8*time.Minute, time.Second)
	jobs := c.do("scontrol", "show", "job", "-o")
	require.Equal(t, 6, strings.Count(jobs, "JobState=COMPLETED"))

	l.requireSameStudy("whole", "runs")
	results, err := ablations.Open(filepath.Join(l.dir, "runs", "aa-micro"))
	require.NoError(t, err)
	restarted := 0
	for _, run := range results.Runs {
		attempts, err := filepath.Glob(filepath.Join(l.dir, "runs", run.ID, "attempts", "*", "provenance.json"))
		require.NoError(t, err)
		finished := 0
		for _, path := range attempts {
			var p struct{ Finished time.Time }
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &p))
			if !p.Finished.IsZero() {
				finished++
			}
		}
		require.Equal(t, 1, finished, run.ID)
		restarted += len(attempts) - 1
		t.Logf("%s, seed %d: %s, attempts %d, finished %d", run.Arm, run.Seed, run.ID, len(attempts), finished)
	}
	require.GreaterOrEqual(t, restarted, 1)
	logs, err := filepath.Glob(filepath.Join(l.dir, "runs", "aa-micro", "slurm-*.out"))
	require.NoError(t, err)
	trained := 0
	for _, path := range logs {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		trained += strings.Count(string(text), "\n1 of 1: ") - strings.Count(string(text), "trained before")
		if strings.Contains(string(text), "REQUEUE") {
			t.Logf("%s:\n%s", filepath.Base(path), text)
		}
	}
	require.Equal(t, 6, trained, "every run was finished exactly once")
}
