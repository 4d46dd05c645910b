// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// folder is a small pair of ELECTRA's that is ready to be asked.
func (l lab) folder() string {
	l.t.Helper()
	dir := filepath.Join(l.dir, "electra")
	require.NoError(l.t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "hf", "testdata", "electra"))))
	return dir
}

func (l lab) write(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	require.NoError(l.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (l lab) read(path string) string {
	l.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(l.t, err)
	return string(text)
}

const goodLine = `{"text": "the [MASK]"}` + "\n"

const (
	patience = time.Minute
	tick     = 10 * time.Millisecond
)

// What finetune reads, predict reads: a byte order mark, CRLF, blank lines, labels and other fields.
func TestPredictReadsWhatFinetuneReads(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	input := l.write("in.jsonl", "\ufeff{\"text\": \"the\", \"label\": 1.5}\r\n \t\r\n\n"+`  {"id": {"a": []}, "ids": [2, 3], "text": null} `+"\n"+`{"label": true, "text": "the"}`)
	stdout, stderr, code := l.metro("predict", "--model", model, "--input", input)
	require.Zero(t, code, stderr)
	require.Equal(t, 3, strings.Count(stdout, "\n"))
	require.Equal(t, 3, strings.Count(stdout, `{"tokens":[`))
}

// A line that cannot be read ends the command, not the answers before it, and stands in nobody's way.
func TestPredictKeepsAnswers(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	input := l.write("in.jsonl", goodLine+"\n"+goodLine+`{"txt": "the"}`+"\n"+goodLine)
	stdout, stderr, code := l.metro("predict", "--model", model, "--input", input)
	require.Equal(t, 2, code, stderr)
	require.Equal(t, 2, strings.Count(stdout, "\n"))
	require.Contains(t, stderr, "--input, line 4: write")
	require.Contains(t, stderr, "the answers to what is before line 4, 2 lines, are written; go on from there, tail -n +4 FILE")

	output := filepath.Join(l.dir, "out.jsonl")
	for _, name := range []string{"out.jsonl.partial", "out.jsonl.partial-2"} {
		_, stderr, code = l.metro("predict", "--model", model, "--input", input, "--output", output)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "2 lines, are in "+output+strings.TrimPrefix(name, "out.jsonl"))
		require.Equal(t, stdout, l.read(filepath.Join(l.dir, name)))
		require.NoFileExists(t, output)
	}
	input = l.write("in.jsonl", strings.Repeat(goodLine, 4))
	_, stderr, code = l.metro("predict", "--model", model, "--input", input, "--output", output)
	require.Zero(t, code, stderr)
	require.Equal(t, 4, strings.Count(l.read(output), "\n"))

	l.write("none.jsonl", "nothing\n")
	_, _, code = l.metro("predict", "--model", model, "--input", "none.jsonl", "--output", "none")
	require.Equal(t, 2, code)
	left, err := filepath.Glob(filepath.Join(l.dir, "*none*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "no answer, no file")
	strays, err := filepath.Glob(filepath.Join(l.dir, ".tmp-*"))
	require.NoError(t, err)
	require.Empty(t, strays)

	_, stderr, code = l.metro("predict", "--model", model, "--input", input, "--output", filepath.Join(l.dir, "nowhere", "out.jsonl"))
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "--output: ")
	require.Contains(t, stderr, "cannot be written")
}

// A file's lines, packed or not, are asked several at once, and have the answers that those of a stream have, up to the one that has none.
func TestPredictAsksSeveralAtOnce(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	var text strings.Builder
	for i := range 2*askedAtOnce + 5 {
		switch {
		case i%7 == 3:
			fmt.Fprintf(&text, "{\"ids\": [%d, 4, 3]}\n", i%9)
		case i == 5:
			fmt.Fprintf(&text, "{\"text\": %q}\n", strings.Repeat("the [MASK] ", longText/10))
		default:
			fmt.Fprintf(&text, "{\"text\": %q}\n", strings.Repeat("the [MASK] of ", i%4))
		}
	}
	good := strings.Count(text.String(), "\n")
	text.WriteString(`{"text": "the"}` + "\n" + `{"ids": [1, 2]}` + "\n" + `{"ids": [1, 999999]}` + "\n" + `{"ids": [1]}` + "\n")
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, err := io.WriteString(zip, text.String())
	require.NoError(t, err)
	require.NoError(t, zip.Close())

	var all [][]answer
	for _, input := range []string{l.write("in.jsonl", text.String()), l.write("in.gz", zipped.String()), "-"} {
		cmd := l.command("predict", "--model", model, "--input", input, "--top-k", "2")
		cmd.Stdin = strings.NewReader(text.String())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode(), stderr.String())
		require.Contains(t, stderr.String(), fmt.Sprintf("at line %d: row 1 has id 999999", good+3))
		require.Equal(t, good+2, bytes.Count(stdout, []byte("\n")), input)
		var answers []answer
		for line := range bytes.Lines(stdout) {
			var a answer
			require.NoError(t, json.Unmarshal(line, &a))
			answers = append(answers, a)
		}
		all = append(all, answers)
	}
	for i, want := range all[2] {
		for _, got := range []answer{all[0][i], all[1][i]} {
			require.Equal(t, want.IDs, got.IDs)
			require.Len(t, got.RTDLogits, len(want.RTDLogits))
			for j, z := range want.RTDLogits {
				require.InDelta(t, z, got.RTDLogits[j], 1e-5, "line %d", i+1) // pure Go rounds by where a row stands
			}
		}
	}
}

// Ctrl-C ends predict and correct though their pipe stays open; each answer was there before the next question.
func TestInterruptedReading(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	for _, output := range []string{"-", "out.jsonl"} {
		cmd := l.command("predict", "--model", model, "--input", "-", "--output", output)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		answers := bufio.NewReader(stdout)
		for range 3 {
			_, err := io.WriteString(stdin, goodLine)
			require.NoError(t, err)
			if output == "-" {
				_, err = answers.ReadString('\n')
				require.NoError(t, err)
			}
		}
		if output != "-" {
			require.Eventually(t, func() bool {
				aside, _ := filepath.Glob(filepath.Join(l.dir, ".tmp-*"))
				return len(aside) == 1 && strings.Count(l.read(aside[0]), "\n") == 3
			}, patience, tick)
		}
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait())
		require.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
		require.Contains(t, stderr.String(), "before line 4, 3 lines, are ")
	}
	require.Equal(t, 3, strings.Count(l.read(filepath.Join(l.dir, "out.jsonl.partial")), "\n"))

	cmd := l.command("correct", "--model", model)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	require.NoError(t, cmd.Start())
	_, err = io.WriteString(stdin, strings.Repeat("the ", 1<<16)) // more than a pipe holds: it is being read
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
}

// A full disk is the user's to mend, whether the answers go to a file or to a stream.
func TestPredictOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full, a disk without space; run it on Linux")
	}
	defer full.Close()
	l := newLab(t)
	cmd := l.command("predict", "--model", l.folder(), "--input", l.write("in.jsonl", goodLine))
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, stderr.String(), "the answer to line 1 cannot be written: ")
}

// No part of a text goes missing: one that is too long is refused.
func TestCorrectRefusesWhatItWouldCut(t *testing.T) {
	l := newLab(t)
	cmd := l.command("correct", "--model", l.folder())
	cmd.Stdin = io.MultiReader(strings.NewReader(strings.Repeat(" ", maxText)), strings.NewReader("x"))
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), fmt.Sprintf("the text is longer than %d bytes", maxText))
	_, said, code := l.metro("correct", "--model", filepath.Join(l.dir, "electra"), "caf\xe9 with a text")
	require.Equal(t, exitUser, code, said)
	require.Contains(t, said, "the text is not UTF-8")
}

// The threshold that is said to mark a word does, and is a number of two digits.
func TestWouldMark(t *testing.T) {
	for p, want := range map[float64]float64{0.327: 0.32, 0.32: 0.31, 0.0041: 0.004, 0.0999: 0.099, 0.99999: 0.99} {
		require.InDelta(t, want, below(p), want*1e-9, p)
		require.Less(t, below(p), p)
	}
	l := newLab(t)
	model, text := filepath.Join("..", "..", "notebooks", "models", "mini"), "The boys was playing in the garden."
	model, err := filepath.Abs(model)
	require.NoError(t, err)
	stdout, stderr, code := l.metro("correct", "--model", model, text)
	require.Zero(t, code, stderr)
	require.Equal(t, text+"\n", stdout)
	require.Contains(t, stderr, "0 of 8 words are marked\n--threshold 0.")
	_, threshold, _ := strings.Cut(stderr, "--threshold ")
	threshold, said, _ := strings.Cut(threshold, " would mark ")
	said, _, _ = strings.Cut(said, ",")
	stdout, stderr, code = l.metro("correct", "--model", model, "--threshold", threshold, text)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "["+strings.Trim(said, `"`)+" ")
	require.Contains(t, stderr, "1 of 8 words")

	stdout, stderr, code = l.metro("correct", "--model", model, "She had been sitting there four an hour.") // README's example
	require.Zero(t, code, stderr)
	require.Regexp(t, `^She had been sitting there \[four \d\d % → for\] an hour\.\n$`, stdout)
	require.NotContains(t, stderr, "--threshold")
}

// Early exits answer with the layer of each logit, and say what they have saved, in theory and in time; what cannot be is the user's to
// mend.
func TestPredictWithEarlyExits(t *testing.T) {
	l := newLab(t)
	out := "runs"
	args := l.pretrain(out, "go", 12, "--set", "main.layers=2", "--set", "objective.name=rtd_clm_exits")
	_, stderr, code := l.metro(args...)
	require.Zero(t, code, stderr)
	model, input := l.onlyRun(out), l.write("in.jsonl", strings.Repeat(`{"text": "the reader opens the file"}`+"\n", 3))

	stdout, stderr, code := l.metro("predict", "--model", model, "--input", input, "--exit", "0.5", "--backend", "go")
	require.Zero(t, code, stderr)
	require.Equal(t, 3, strings.Count(stdout, `"exit_layers":[1,`))
	require.NotContains(t, stdout, "corrections")
	require.Contains(t, stderr, "mean depth 1.00 of 2 layers: 50.0 % of all token-layers, which is theoretical; computed were 50.0 % of all layers, in 3 batches")
	require.Regexp(t, `measured time: \d+\.\d\d of that of all layers \(median of 7 rounds in turns, `, stderr)
	for _, wrong := range [][]string{
		{"--exit must be above 0, it is 0", "--exit", "0"},
		{"--exit-share is about early exits; it needs --exit", "--exit-share", "0.5"},
		{"--exit-share must be above 0, at most 1, it is 2", "--exit", "0.9", "--exit-share", "2"},
		{"leave out --hidden, or --exit", "--exit", "0.9", "--hidden"},
	} {
		_, stderr, code = l.metro(append([]string{"predict", "--model", model, "--input", input, "--backend", "go"}, wrong[1:]...)...)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, wrong[0])
	}
	_, stderr, code = l.metro("predict", "--model", l.folder(), "--input", input, "--backend", "go", "--exit", "0.9")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "has no RTD heads below the last layer")
}
