// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCollectProvenance(t *testing.T) {
	t.Setenv("XLA_FLAGS", "--xla_some_flag=1")
	t.Setenv("TF_CLI_CONFIG_FILE", "x")
	p := CollectProvenance(noon, Backend{Name: "go", Platform: "cpu", Version: "v0.1.6"})
	require.Equal(t, noon, p.Started)
	require.True(t, p.Finished.IsZero())
	require.Equal(t, os.Args, p.Command)
	require.Equal(t, runtime.Version(), p.Go)
	require.Equal(t, runtime.NumCPU(), p.Cores)
	require.NotEmpty(t, p.Host)
	require.Equal(t, "--xla_some_flag=1", p.Environment["XLA_FLAGS"])
	require.NotContains(t, p.Environment, "PATH")
	require.NotContains(t, p.Environment, "TF_CLI_CONFIG_FILE", "Terraform's")
	require.Equal(t, "--xla_some_flag=1", p.Numerics()["XLA_FLAGS"])
	if runtime.GOOS == "linux" {
		require.Greater(t, p.MemoryBytes, int64(1<<20))
		require.True(t, runtime.GOARCH != "amd64" || len(p.Features) > 0)
	}
	path := filepath.Join(t.TempDir(), ProvenanceFile)
	require.NoError(t, WriteJSON(path, p))
	var back Provenance
	require.NoError(t, ReadJSON(path, &back))
	require.Equal(t, p.Command, back.Command)
	require.Equal(t, p.Backend, back.Backend)
	require.Equal(t, p.Source, back.Source)
}

func TestBuildInfo(t *testing.T) {
	var p Provenance
	p.addBuild(&debug.BuildInfo{
		Main: debug.Module{Path: "metrolab"},
		Deps: []*debug.Module{
			{Path: "a.org/a", Version: "v1.2.3"},
			{Path: "b.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "../b"}},
		},
		Settings: []debug.BuildSetting{
			{Key: "-tags", Value: "noxla"}, {Key: "GOEXPERIMENT", Value: "simd"},
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
		},
	})
	require.Equal(t, Provenance{
		Module: "metrolab", Modules: map[string]string{"a.org/a": "v1.2.3", "b.org/b": "v1.0.0 => ../b"},
		Experiments: "simd", Tags: "noxla", Source: Source{Commit: "abc", Dirty: true, From: "build"},
	}, p)
}

func TestWorkingSource(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git; install it")
	}
	dir := t.TempDir()
	require.Equal(t, Source{}, workingSource(filepath.Join(dir, "absent")))
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	clean := workingSource(dir)
	require.Len(t, clean.Commit, 40)
	require.Equal(t, Source{Commit: clean.Commit, From: "working directory"}, clean)
	write(t, filepath.Join(dir, "new.go"), "package x")
	require.True(t, workingSource(dir).Dirty)
}

func TestReadJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	var v any
	require.ErrorIs(t, ReadJSON(path, &v), os.ErrNotExist)
	write(t, path, "{")
	require.ErrorContains(t, ReadJSON(path, &v), path+", 1 bytes")
	require.NoError(t, WriteJSON(path, map[string]Values{"<auc>": {"mean": 0.5}}))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{\n  \"<auc>\": {\n    \"mean\": 0.5\n  }\n}\n", string(text))
	require.ErrorContains(t, WriteJSON(path, func() {}), path)
	require.ErrorContains(t, WriteJSON(filepath.Join(path, "below"), 1), path)
	require.NoError(t, os.Mkdir(path+".d", 0o700))
	require.ErrorContains(t, WriteJSON(path+".d", 1), path+".d, 2 bytes")
	require.Equal(t, []string{"a.json", "a.json.d"}, names(t, filepath.Dir(path)), "nothing is left aside")
}
