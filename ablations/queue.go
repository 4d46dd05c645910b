// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
)

// Queue is a study as the jobs of a scheduler, an index a shard.
type Queue struct {
	Study  Study
	Shards int
	// Command are the words of the command that trains the study, without --shard: the scheduler's index is added.
	Command []string
	Dir     string // where it is run; below it lie the runs
	Log     string // Slurm: the folder for what the jobs say
	CPUs    int    // an index; 0 leaves it to the scheduler
	Memory  string // an index, as the scheduler spells it; "" leaves it to the scheduler
	Options []string
	Image   string // Kubernetes: of the container
	Volume  string // Kubernetes: the claim of the volume that all share, at Dir
}

// Slurm is the script of an array job for sbatch. An index that is told of its time limit saves and queues again, as one
// does that the scheduler puts away; one that diverged has failed with exit code 3 and is not tried again.
func (q Queue) Slurm() string { return q.write(slurmScript) }

// Kubernetes is the manifest of an Indexed Job. An index whose run diverged, exit code 3, fails at once, as repeating it would
// change nothing; a wrong command, 2, fails the job; one that was told to end, 75, or whose node went away begins again without
// an end, and goes on where it saved; any other end is tried three times more.
func (q Queue) Kubernetes() string { return q.write(kubernetesManifest) }

// Runs is how many the study has.
func (q Queue) Runs() int { return (1 + len(q.Study.Changes)) * len(q.Study.Seeds) }

// ID is the study's name as Kubernetes takes names: lower-case letters, digits and dashes. What that loses of a name stands in
// digits behind it, so that two studies are two jobs.
func (q Queue) ID() string {
	const longest = 40 // the names of pods are made of it
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(q.Study.Name))
	if name := q.Study.Name; len(name) <= longest && strings.Trim(plain, "-") == name {
		return "metro-" + name
	}
	sum := sha256.Sum256([]byte(q.Study.Name))
	kept := strings.Trim(plain[:min(len(plain), longest-9)], "-")
	return strings.ReplaceAll(fmt.Sprintf("metro-%s-%x", kept, sum[:4]), "--", "-")
}

// Line is the command for a shell, with the index that an expression of the shell counts from 1.
func (q Queue) Line(index string) string {
	var words []string
	for _, word := range q.Command {
		words = append(words, shellQuote(word))
	}
	return fmt.Sprintf(`%s --shard "%s/%d"`, strings.Join(words, " "), index, q.Shards)
}

// shellQuote is a word as a POSIX shell reads it.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (q Queue) write(t *template.Template) string {
	var b strings.Builder
	if err := t.Execute(&b, q); err != nil {
		panic(err) // the templates below hold nothing that fails
	}
	return b.String()
}

var queueFuncs = template.FuncMap{
	"oneLine": func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"quote": func(s string) (string, error) { // a JSON string is a YAML one
		text, err := json.Marshal(s)
		return string(text), err
	},
}

var slurmScript = template.Must(template.New("slurm").Funcs(queueFuncs).Parse(`#!/bin/bash
# The study {{.Study.Name}}: {{oneLine .Study.Question}}
# {{.Runs}} runs, index i of {{.Shards}} trains shard i. Written by metro ablate submit; sbatch takes it again at any time: runs
# that are finished are found, and those that are not go on.
#SBATCH --job-name={{.ID}}
#SBATCH --array=1-{{.Shards}}
#SBATCH --chdir={{.Dir}}
#SBATCH --output={{.Log}}/slurm-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
{{- if .CPUs}}
#SBATCH --cpus-per-task={{.CPUs}}
{{- end}}
{{- if .Memory}}
#SBATCH --mem={{.Memory}}
{{- end}}
{{- range .Options}}
#SBATCH {{.}}
{{- end}}

# Two minutes before the time limit: save, and queue again. When Slurm puts the job away itself: save.
limit=
trap 'limit=yes; kill -USR1 $! 2>/dev/null' USR1
trap 'kill -TERM $! 2>/dev/null' TERM
{{.Line "$SLURM_ARRAY_TASK_ID"}} &
metro=$!
while kill -0 "$metro" 2>/dev/null; do
	wait "$metro" # to its end or the next signal
done
wait "$metro"
code=$?
case $code in
0 | 2 | 3) ;;
*) [[ ! $limit ]] || scontrol requeue "$SLURM_JOB_ID" ;; # 75; 138 and 255 where it ended as it was told
esac
exit "$code" # 0 done, 3 a run diverged, 75 saved
`))

var kubernetesManifest = template.Must(template.New("kubernetes").Funcs(queueFuncs).Parse(`# The study {{.Study.Name}}: {{oneLine .Study.Question}}
# {{.Runs}} runs, index i of {{.Shards}} trains shard i+1. Written by metro ablate submit.
apiVersion: batch/v1
kind: Job
metadata:
  name: {{.ID}}
spec:
  completionMode: Indexed
  completions: {{.Shards}}
  parallelism: {{.Shards}}
  backoffLimitPerIndex: 3
  podFailurePolicy:
    rules:
      - action: FailIndex # a run diverged: it would again
        onExitCodes: {containerName: metro, operator: In, values: [3]}
      - action: FailJob # something is wrong in the command or the files: it is for all
        onExitCodes: {containerName: metro, operator: In, values: [2]}
      - action: Ignore # told to end, and saved: not counted
        onExitCodes: {containerName: metro, operator: In, values: [75]}
      - action: Ignore # the node went away
        onPodConditions: [{type: DisruptionTarget, status: "True"}]
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 120 # to finish the step and save
      containers:
        - name: metro
          image: {{quote .Image}}
          command: ["/bin/sh", "-c"]
          args:
            - {{quote (printf "exec %s" (.Line "$((JOB_COMPLETION_INDEX + 1))"))}}
          workingDir: {{quote .Dir}}
          env:
            - {name: METROLAB_CACHE, value: {{quote (printf "%s/cache" .Dir)}}}
{{- if or .CPUs .Memory}}
          resources:
            requests:
{{- if .CPUs}}
              cpu: {{.CPUs}}
{{- end}}
{{- if .Memory}}
              memory: {{quote .Memory}}
{{- end}}
{{- end}}
          volumeMounts:
            - {name: shared, mountPath: {{quote .Dir}}}
      volumes:
        - name: shared
          persistentVolumeClaim: {claimName: {{quote .Volume}}}
`))
