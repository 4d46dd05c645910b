// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// inProcess runs a command line in l's folder without a process of its own.
func (l lab) inProcess(ctx context.Context, args ...string) (stdout, said string, code int) {
	l.t.Helper()
	l.t.Chdir(l.dir)
	l.t.Setenv("METROLAB_CACHE", l.cache)
	l.t.Setenv("METROLAB_BACKEND", "go")
	out, err := os.Create(filepath.Join(l.t.TempDir(), "out"))
	require.NoError(l.t, err)
	defer out.Close()
	var words bytes.Buffer
	before := stderr
	defer func() { stderr = before }()
	stderr = &screen{w: &words}
	code = run(ctx, root(), args, out)
	text, err := os.ReadFile(out.Name())
	require.NoError(l.t, err)
	return string(text), words.String(), code
}

// leaves are the commands that do something, by their words.
func leaves() map[string]*cobra.Command {
	found := map[string]*cobra.Command{}
	everyCommand(root(), func(c *cobra.Command) {
		if !c.HasSubCommands() && c.Name() != "help" {
			found[strings.TrimPrefix(c.CommandPath(), "metro ")] = c
		}
	})
	return found
}

// What is wrong with a command line is the user's to mend, in every command: exit code 2 and a sentence.
func TestEveryCommandRefusesABadLine(t *testing.T) {
	l := newLab(t)
	refused := func(t *testing.T, line ...string) string {
		t.Helper()
		_, said, code := l.inProcess(t.Context(), line...)
		require.Equal(t, exitUser, code, "%v: %s", line, said)
		require.True(t, strings.HasPrefix(said, "metro: "), said)
		require.Equal(t, 1, strings.Count(said, "\n"), said)
		return said
	}
	for words, c := range leaves() {
		line := strings.Fields(words)
		t.Run(words, func(t *testing.T) {
			require.Contains(t, refused(t, append(line, "--no-such-flag")...), "--no-such-flag")
			refused(t, append(line, "too", "many", "words")...)
			given := slices.Clone(line)
			for len(given) < 32 && c.ValidateArgs(positional(given, words)) != nil {
				given = append(given, "word")
			}
			for _, flag := range required(c) {
				require.Contains(t, refused(t, given...), flag)
			}
			for _, flag := range valued(c) {
				refused(t, append(line, "--"+flag)...)
			}
		})
	}
	for _, line := range []string{"pretain", "runs lsit", "help nothing", "completion nothing", "ablate run", "runs diff one", "--nothing", "ablate report"} {
		refused(t, strings.Fields(line)...)
	}
}

func required(c *cobra.Command) (names []string) {
	for _, name := range valued(c) {
		if _, is := c.Flag(name).Annotations[cobra.BashCompOneRequiredFlag]; is {
			names = append(names, name)
		}
	}
	return names
}

// A flag that takes one value is not given twice, and no element of a list is.
func TestEveryFlagIsGivenOnce(t *testing.T) {
	l := newLab(t)
	flags := 0
	for words, c := range leaves() {
		for _, name := range valued(c) {
			flags++
			value := map[string]string{"int64": "1", "int": "1", "float64": "0.1", "bool": "true", "int64Slice": "1", "intSlice": "1", "duration": "1s", "func": "1", "size": "0.1"}[c.Flag(name).Value.Type()]
			if value == "" {
				value = "a=1"
			}
			flag := "--" + name + "=" + value
			line := append(strings.Fields(words), flag, flag)
			for _, name := range required(c) {
				if strings.HasPrefix(c.Flag(name).Value.Type(), "string") && !strings.HasPrefix(flag, "--"+name+"=") {
					line = append(line, "--"+name+"=x")
				}
			}
			for len(line) < 32 && c.ValidateArgs(positional(line, words)) != nil {
				line = append(line, "word")
			}
			_, said, code := l.inProcess(t.Context(), line...)
			require.Equal(t, exitUser, code, "%v: %s", line, said)
			require.Contains(t, said, "given twice", "%v", line)
		}
	}
	require.Greater(t, flags, 30)

	for line, says := range map[string]string{
		"pretrain --corpus a --corpus b":                         "one folder",
		"pretrain --set seed=1 --set seed=2":                     "two values",
		"recipe show tiny --set main.heads=2 --set main.heads=4": "two values",
		"ablate run quickstart --seeds 0,1 --seeds 1":            "given twice",
		"ablate run quickstart --seeds 0,0":                      "given twice",
	} {
		_, said, code := l.inProcess(t.Context(), strings.Fields(line)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, says)
	}
}

// A flag with nothing in it, as of a variable of the shell that is not set, is not as if it were not there.
func TestNoFlagIsEmpty(t *testing.T) {
	l := newLab(t)
	flags := 0
	for words, c := range leaves() {
		for _, name := range valued(c) {
			if kind := c.Flag(name).Value.Type(); !strings.HasPrefix(kind, "string") {
				continue
			}
			flags++
			line := append(strings.Fields(words), "--"+name+"=")
			for _, other := range required(c) {
				if strings.HasPrefix(c.Flag(other).Value.Type(), "string") && other != name {
					line = append(line, "--"+other+"=x")
				}
			}
			for len(line) < 32 && c.ValidateArgs(positional(line, words)) != nil {
				line = append(line, "word")
			}
			_, said, code := l.inProcess(t.Context(), line...)
			require.Equal(t, exitUser, code, "%v: %s", line, said)
			if name != "set" && name != "corpus" && !strings.Contains(said, "in the group") {
				require.Contains(t, said, "--"+name+" has nothing in it", "%v", line)
			}
		}
	}
	require.Greater(t, flags, 30)
	file := l.write("file", "")
	_, said, code := l.inProcess(t.Context(), "serve", "--port", "0", "--out", file)
	require.Equal(t, exitUser, code, said)
	require.Contains(t, said, "is a file; it must be the folder of the runs")
	_, said, code = l.inProcess(t.Context(), "plan", "--recipe", "tiny,")
	require.Equal(t, exitUser, code, said)
	require.Contains(t, said, "--recipe has nothing in it")
}

// positional are the words of a line that are no flags, past those that name the command.
func positional(line []string, command string) (given []string) {
	for _, word := range line[len(strings.Fields(command)):] {
		if !strings.HasPrefix(word, "--") {
			given = append(given, word)
		}
	}
	return given
}

// valued are the flags of a command that take a value.
func valued(c *cobra.Command) (names []string) {
	for _, flags := range []*pflag.FlagSet{c.LocalFlags(), c.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "" {
				names = append(names, f.Name)
			}
		})
	}
	return names
}

// What is wrong with files and folders is the user's to mend, whoever meets it.
func TestFilesAndFoldersThatAreWrong(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	file := l.text
	below := filepath.Join(file, "below") // nothing can be there

	for name, line := range map[string][]string{
		"runs in a file":             l.pretrain(below, "go", 10, "--seed", "1"),
		"corpus below a file":        {"data", "show", below},
		"export below a file":        {"export", "--model", run, "--out", below},
		"corpus export below a file": {"data", "export", below, "--corpus", file},
		"answers below a file":       {"predict", "--model", run, "--input", file, "--output", below},
		"input is a folder":          {"predict", "--model", run, "--input", run},
		"model is a file":            {"predict", "--model", file, "--input", file},
		"model below a file":         {"correct", "--model", below, "text"},
		"model is a folder of texts": {"finetune", "--model", l.dir},
		"examples are a folder":      {"finetune", "--model", run, "--data", run},
		"examples are prose":         {"finetune", "--model", run, "--data", file},
		"weights from a file":        l.pretrain("runs", "go", 10, "--init-from", file),
		"resume a file":              {"pretrain", "--resume", file},
		"resume nothing":             {"pretrain", "--resume", below},
		"study is a file":            {"ablate", "report", file},
		"study below a file":         {"ablate", "report", below},
		"runs are a file":            {"runs", "--out", file, "ls"},
		"remove from a file":         {"runs", "--out", file, "rm", "x"},
		"compare in a file":          {"runs", "--out", file, "diff", "x", "y"},
		"impossible size":            l.pretrain("runs", "go", 10, "--set", "main.width=0"),
	} {
		t.Run(name, func(t *testing.T) {
			_, said, code := l.inProcess(t.Context(), line...)
			require.Equal(t, exitUser, code, "%v: %s", line, said)
			require.NotContains(t, said, "goroutine ")
		})
	}
	t.Run("cache below a file", func(t *testing.T) {
		l := l
		l.cache = below
		_, said, code := l.inProcess(t.Context(), "data", "show", file)
		require.Equal(t, exitUser, code, said)
	})

	damage := map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"half":    func(text []byte) []byte { return text[:len(text)/2] },
		"no JSON": func([]byte) []byte { return []byte("no JSON\n") },
	}
	for _, name := range []string{runs.ConfigFile, runs.TokenizerFile, "checkpoints/*/manifest.json", "checkpoints/*/state.json", "checkpoints/*/variables.safetensors"} {
		for how, change := range damage {
			t.Run(how+" "+filepath.Base(name), func(t *testing.T) {
				damaged := filepath.Join(t.TempDir(), "damaged")
				require.NoError(t, os.CopyFS(damaged, os.DirFS(run)))
				files, err := filepath.Glob(filepath.Join(damaged, name))
				require.NoError(t, err)
				require.NotEmpty(t, files)
				for _, file := range files {
					text, err := os.ReadFile(file)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(file, change(text), 0o600))
				}
				_, said, code := l.inProcess(t.Context(), "export", "--model", damaged, "--out", filepath.Join(t.TempDir(), "out"))
				require.Equal(t, exitUser, code, said)
				require.Contains(t, said, damaged)
			})
		}
	}
}

// A full disk behind the standard output is told, not passed over; a reader that has enough is no failure.
func TestOutputThatCannotBeWritten(t *testing.T) {
	if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer full.Close()
		require.Equal(t, exitUser, run(t.Context(), root(), []string{"recipe", "list"}, full))
	}
	l := newLab(t)
	cmd := l.command("recipe", "show", "tiny")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = w
	require.NoError(t, r.Close())
	require.NoError(t, cmd.Run())
}

// A training whose progress nobody reads any more goes on to its end.
func TestTrainingOutlivesItsReader(t *testing.T) {
	l := newLab(t)
	cmd := l.command(l.pretrain("runs", "go", 40)...)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = w, w
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	_, err = r.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, cmd.Wait())
	require.FileExists(t, filepath.Join(l.onlyRun("runs"), runs.ResultFile))
}

// Divergence has a code of its own, in pretraining and in fine-tuning, the first time and when the run is found again. In a
// study it is a result.
func TestDivergenceHasItsCode(t *testing.T) {
	l := newLab(t)
	// Decay multiplies the weights by 1 − 10·10 a step.
	diverging := []string{"--set", "optimizer.learning_rate=10", "--set", "optimizer.warmup_steps=0", "--set", "optimizer.weight_decay=10"}
	for range 2 {
		_, said, code := l.inProcess(t.Context(), l.pretrain("diverged", "go", 40, diverging...)...)
		require.Equal(t, exitDiverged, code, said)
		require.Contains(t, said, "diverged at step")
		require.Contains(t, said, l.onlyRun("diverged")[len(l.dir)+1:])
	}
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	examples := filepath.Join(l.dir, "examples.jsonl")
	var text strings.Builder
	for i := range 64 {
		fmt.Fprintf(&text, "{\"text\": \"%d readers open the files\", \"label\": \"%d\"}\n", i, i%2)
	}
	require.NoError(t, os.WriteFile(examples, []byte(text.String()), 0o600))
	_, said, code = l.inProcess(t.Context(), append([]string{"finetune", "--model", l.onlyRun("runs"), "--data", examples, "--steps", "40", "--learning-rate", "10"}, diverging[2:]...)...)
	require.Equal(t, exitDiverged, code, said)
	require.Contains(t, said, "diverged at step")
}

// The code for each way to end.
func TestExitCode(t *testing.T) {
	plain := t.Context()
	signalled := func(s os.Signal) context.Context {
		ctx, cancel := context.WithCancelCause(plain)
		cancel(stopSignal{s})
		return ctx
	}
	_, missing := os.Open("no/such/file")
	stopped := fmt.Errorf("baseline, seed 0: %w", training.ErrInterrupted)
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{plain, nil, exitDone},
		{signalled(os.Interrupt), nil, exitDone},
		{plain, fmt.Errorf("write: %w", syscall.EPIPE), exitDone},
		{plain, errors.New("index out of range"), exitFault},
		{plain, usererr.New("no"), exitUser},
		{plain, fmt.Errorf("open: %w", missing), exitUser},
		{plain, usererr.New("fine-tuning: it %w", training.Result{Diverged: "diverged at step 3"}.Err()), exitDiverged},
		{plain, &training.Divergence{}, exitDiverged},
		{signalled(os.Interrupt), stopped, exitInterrupted},
		{signalled(os.Interrupt), errors.Join(stopped, usererr.New("no")), exitInterrupted},
		{signalled(syscall.SIGTERM), stopped, exitPreempted},
		{signalled(syscall.SIGHUP), context.Canceled, exitPreempted},
		{plain, context.Canceled, exitInterrupted},
	} {
		require.Equal(t, c.want, exitCode(c.ctx, c.err), "%v", c.err)
	}
	for _, e := range exitCodes {
		require.Contains(t, root().Long, fmt.Sprintf("\n  %-4d %s", e.code, e.means))
	}
}

// A panic is our fault, and says so with what is needed to find it.
func TestPanicIsOurFault(t *testing.T) {
	cmd := root()
	cmd.AddCommand(&cobra.Command{Use: "broken", RunE: func(*cobra.Command, []string) error { panic("index out of range") }})
	var words bytes.Buffer
	before := stderr
	defer func() { stderr = before }()
	stderr = &screen{w: &words}
	require.Equal(t, exitFault, run(t.Context(), cmd, []string{"broken"}, os.Stdout))
	require.Contains(t, words.String(), "fault of the program: index out of range")
	require.Contains(t, words.String(), "exit_test.go")
}
