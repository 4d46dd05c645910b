// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"metrolab/ablations"
	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// submitFlags say how a study becomes jobs.
type submitFlags struct {
	engine, memory, image, volume string
	shards, cpus                  int
	options                       []string
	dryRun                        bool
}

// engines are the schedulers, each with the file that it takes and the command that hands it over.
var engines = map[string]struct {
	file   string
	submit []string
	write  func(ablations.Queue) string
}{
	"slurm":      {"slurm.sh", []string{"sbatch"}, ablations.Queue.Slurm},
	"kubernetes": {"kubernetes.yaml", []string{"kubectl", "apply", "-f"}, ablations.Queue.Kubernetes},
}

const volumeDir = "/metro" // where Kubernetes mounts the shared volume

func ablateSubmitCommand() *cobra.Command {
	var w workspaceFlags
	var f studyFlags
	var s submitFlags
	cmd := &cobra.Command{
		Use:   "submit STUDY",
		Short: "Hand a study to Slurm or Kubernetes, an index a run",
		Long: `Writes a script for sbatch or a manifest for kubectl into the study's folder under --out, and submits it; --dry-run prints
it instead. Each index runs metro ablate run STUDY --shard i/n with the other flags that are given here. The folder of
--out has to be one for all nodes: --chdir of the script is the present one; on Kubernetes it lies on the volume of --volume,
which is mounted at ` + volumeDir + `.

An index that is preempted, or comes to its time limit, saves within the step and goes on when it is queued again. One whose
run diverged ends with exit code 3 and is not tried again. metro ablate report makes the report from what there is.`,
		Example: `  metro ablate submit quickstart --engine slurm --dry-run
  metro ablate submit quickstart --engine slurm --cpus 8 --option=--partition=gpu --option=--time=2:00:00
  metro ablate submit quickstart --engine kubernetes --image registry.example.org/metrolab:cpu --volume shared`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return submit(cmd, w, f, s, given[0]) },
	}
	w.addFlags(cmd)
	f.addFlags(cmd)
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.StringVar(&s.engine, "engine", "", "slurm or kubernetes")
	own.IntVar(&s.shards, "shards", 0, "indexes; 0: one a run")
	own.IntVar(&s.cpus, "cpus", 0, "processor cores of an index; 0: as the scheduler has it")
	own.StringVar(&s.memory, "memory", "", "memory of an index as the scheduler spells it, 8G or 8Gi")
	own.StringArrayVar(&s.options, "option", nil, "slurm: an option of sbatch, for example --partition=gpu; repeat for more")
	own.StringVar(&s.image, "image", "", "kubernetes: the image with metro in it")
	own.StringVar(&s.volume, "volume", "", "kubernetes: the claim of the volume that all indexes share")
	own.BoolVar(&s.dryRun, "dry-run", false, "print the script or manifest, and submit nothing")
	own.VisitAll(func(flag *pflag.Flag) { flag.Annotations = map[string][]string{ofSubmit: nil} })
	cmd.Flags().AddFlagSet(own)
	return cmd
}

// ofSubmit marks the flags of submit that metro ablate run does not have.
const ofSubmit = "metro-of-submit"

func submit(cmd *cobra.Command, w workspaceFlags, f studyFlags, s submitFlags, name string) error {
	engine, known := engines[s.engine]
	if !known {
		return usererr.New("--engine %q: it is slurm or kubernetes", s.engine)
	}
	study, err := f.study(name, "")
	if err != nil {
		return err
	}
	if study.UntilDecided {
		return usererr.New("a study until decided has no parts to submit: which run is next follows from all that have ended; share it with metro ablate run --claim")
	}
	queue, err := s.queue(cmd, study, w.out, name)
	if err != nil {
		return err
	}
	text := engine.write(queue)
	if s.dryRun {
		_, err := fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}
	if err := study.Fits(filepath.Join(w.out, study.Name)); err != nil {
		return err
	}
	path := filepath.Join(w.out, study.Name, engine.file)
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(path, []byte(text)); err != nil {
		return err
	}
	said, err := handOver(cmd.Context(), append(engine.submit, path))
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s\nscript:  %s\nreport:  metro ablate report %s\n", said, path, filepath.Dir(path))
	return nil
}

// queue is the study as the flags want it queued.
func (s submitFlags) queue(cmd *cobra.Command, study ablations.Study, out, name string) (ablations.Queue, error) {
	q := ablations.Queue{
		Study: study, Shards: s.shards, CPUs: s.cpus, Memory: s.memory, Options: s.options, Image: s.image, Volume: s.volume,
		Command: append([]string{"metro", "ablate", "run", name}, passedOn(cmd.Flags())...),
	}
	if q.Shards == 0 {
		q.Shards = q.Runs()
	}
	if q.Shards < 1 || q.Shards > q.Runs() {
		return q, usererr.New("--shards %d: the study has %d runs", s.shards, q.Runs())
	}
	if s.engine == "kubernetes" {
		if s.image == "" || s.volume == "" {
			return q, usererr.New("kubernetes needs --image, with metro in it, and --volume, the claim of a volume for the runs")
		}
		if len(s.options) > 0 {
			return q, usererr.New("--option is one of sbatch's; change the manifest that --dry-run prints")
		}
		if filepath.IsAbs(out) && !strings.HasPrefix(out, volumeDir+"/") {
			return q, usererr.New("--out %s is not on the volume, which is mounted at %s: give a path below that", out, volumeDir)
		}
		q.Dir = volumeDir
		return q, nil
	}
	if s.image != "" || s.volume != "" {
		return q, usererr.New("--image and --volume are for kubernetes")
	}
	var err error
	if q.Command[0], err = os.Executable(); err != nil {
		return q, fmt.Errorf("find this program: %w", err)
	}
	if q.Dir, err = os.Getwd(); err != nil {
		return q, fmt.Errorf("find this folder: %w", err)
	}
	q.Log = filepath.Join(out, study.Name)
	for _, path := range []string{q.Dir, q.Log} {
		if strings.ContainsAny(path, " \t\n%") { // sbatch's lines have no quotes, and % begins a number
			return q, usererr.New("sbatch cannot write to %q: its options take no path with spaces or %%", path)
		}
	}
	return q, nil
}

// passedOn are the flags that are given and that metro ablate run has, too.
func passedOn(flags *pflag.FlagSet) (words []string) {
	flags.Visit(func(f *pflag.Flag) {
		if _, own := f.Annotations[ofSubmit]; own {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
			if f.Value.Type() == "int64Slice" {
				values = []string{strings.Join(values, ",")}
			}
		}
		for _, value := range values {
			words = append(words, "--"+f.Name+"="+value)
		}
	})
	return words
}

// handOver runs a scheduler's command and returns what it says.
func handOver(ctx context.Context, words []string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var said, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &problems
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", usererr.New("%s is not installed here; %s is written, to be submitted where it is", words[0], words[len(words)-1])
	case err != nil:
		return "", usererr.New("%s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(said.String()), nil
}
