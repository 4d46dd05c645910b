// SPDX-License-Identifier: Apache-2.0

package serve_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/ablations/serve"
	"metrolab/internal/backendtest"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// trained is a folder of runs with a study of one seed that has ended, and a second seed of its baseline that has not.
func trained(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	runner := &training.Runner{Backend: backendtest.Go(t), BackendKind: "go", Store: runs.Store{Root: root}, CacheDir: t.TempDir()}
	t.Cleanup(func() { require.NoError(t, runner.Close()) })
	file := filepath.Join(t.TempDir(), "text.txt")
	var words strings.Builder
	for i := range 400 {
		fmt.Fprintf(&words, "The buffer of call %d is read by reader %d, and the error of line %d is returned to caller %d as it was.\n\n", i, i*7, i*3, i*11)
	}
	require.NoError(t, os.WriteFile(file, []byte(words.String()), 0o600))
	require.NoError(t, runner.OpenCorpus(t.Context(), file, text.Options{}))
	base := recipes.Micro()
	base.Training.Steps, base.Training.LogEvery, base.Training.EvalEvery, base.Training.CheckpointEvery = 6, 3, 3, 3
	base.Optimizer.WarmupSteps, base.Evaluation.Rows = 1, 8
	s := ablations.Study{
		Name: "weights & <b>", Question: "Does the weight matter?", Recipe: "micro", Outcome: ablations.OutcomeOf("frozen_auc_unigram"),
		Baseline: base, Changes: []ablations.Change{{Name: "10 <i>", Set: []string{"objective.rtd_weight=10"}}}, Seeds: []int64{0, 1},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := s.Run(ctx, runner, 1, func(e ablations.Event) {
		if e.Done == 2 && e.Result == nil && e.Progress.Step == 4 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	return root
}

func site(root string) serve.Site {
	return serve.Site{Root: root, Claims: func() (table.Table, error) {
		return table.Table{Columns: []table.Column{{Name: "claim"}}, Rows: [][]any{{"C1"}}}, nil
	}}
}

// Every page that a page links to is there, escaped, and says what lies in the folder.
func TestPages(t *testing.T) {
	root := trained(t)
	server := httptest.NewServer(site(root).Handler())
	defer server.Close()
	get := func(path string) (status int, header http.Header, body string) {
		answer, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, answer.Header, string(text)
	}
	seen := map[string]bool{}
	next := []string{"/"}
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		status, header, body := get(path)
		require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
		switch kind := header.Get("Content-Type"); {
		case strings.HasPrefix(kind, "image/png"):
			require.True(t, strings.HasPrefix(body, "\x89PNG"), path)
		case strings.HasPrefix(kind, "text/html"):
			require.NotContains(t, body, "<b>\"")
			require.NotContains(t, body, "10 <i>")
			require.NotContains(t, body, "://", "nothing is loaded from elsewhere: %s", path)
			for _, attribute := range []string{`href="`, `src="`} {
				for _, part := range strings.Split(body, attribute)[1:] {
					if address, _, _ := strings.Cut(part, `"`); strings.HasPrefix(address, "/") {
						next = append(next, strings.ReplaceAll(address, "&amp;", "&"))
					}
				}
			}
		}
	}
	require.Greater(t, len(seen), 20, "%v", seen)
	_, _, study := get("/study/weights%20&%20%3Cb%3E")
	require.Contains(t, study, "2 of 4 runs")
	require.Contains(t, study, "Does the weight matter?")
	require.Contains(t, study, "<progress")
	for path, want := range map[string]int{
		"/study/nothing": http.StatusNotFound, "/run/nothing": http.StatusNotFound, "/study/..%2F..": http.StatusNotFound, "/elsewhere": http.StatusNotFound,
	} {
		status, _, body := get(path)
		require.Equal(t, want, status, "%s: %s", path, body)
	}
	answer, err := http.Post(server.URL+"/", "text/plain", strings.NewReader("x"))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)

	inBrowser(t, server.URL+"/study/weights%20&%20%3Cb%3E")
}

// A page of another site that has its own name point to this machine is refused, by whatever name.
func TestOtherHostsAreRefused(t *testing.T) {
	handler := site(t.TempDir()).Handler()
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:7117": 200, "localhost:80": 200, "[::1]:7117": 200, "127.9.9.9": 200,
		"example.org": 421, "127.0.0.1.example.org": 421, "localhost.example.org:7117": 421, "": 421, "10.0.0.1:7117": 421, "0.0.0.0": 421,
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host = host
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.Equal(t, want, answer.Code, "%q", host)
	}
}

// inBrowser opens a page in headless Chromium, if there is one, and looks at what its reader sees.
func inBrowser(t *testing.T, address string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Log("there is no chromium here: the page was not opened in a browser")
		return
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=6000", "--dump-dom", address)
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	page, err := cmd.Output()
	require.NoError(t, err, said.String())
	require.Contains(t, string(page), "This page follows the folder.", "two rounds of following later")
	require.NotContains(t, said.String(), "Content Security Policy")
	require.Contains(t, string(page), "<iframe")
}
