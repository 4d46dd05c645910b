// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tasks"
)

// A task of one's own: from six lines to scores, seeds, a curve and predictions, and what is wrong in its rows.
func TestFinetuneOnATaskFile(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	rows := "text\tlabel\n"
	for i := range 24 {
		rows += fmt.Sprintf("the %s\t%s\n", []string{"the", "a a"}[i%2], []string{"no", "yes"}[i%2])
	}
	l.write("rows.tsv", rows)
	file := l.write("mine.yaml", "kind: classification\ntrain: rows.tsv\ntest: rows.tsv\ntext: text\nlabel: label\n")
	finetune := func(more ...string) (stdout, said string, code int) {
		return l.inProcess(t.Context(), append([]string{"finetune", "--model", model, "--task", file, "--out", "runs", "--steps", "2"}, more...)...)
	}
	predictions := filepath.Join(l.dir, "said.jsonl")
	stdout, said, code := finetune("--control", "--predictions", predictions)
	require.Equal(t, exitDone, code, said)
	require.Contains(t, said, "task mine (classification): 24 training and 24 test texts of 2 classes")
	for _, row := range []string{"main model, pretrained elsewhere", "the same from scratch", "TF-IDF and logistic regression", "always the largest class"} {
		require.Contains(t, stdout, row)
	}
	require.NotContains(t, stdout, "best on the validation texts")
	lines := strings.Split(strings.TrimSpace(l.read(predictions)), "\n")
	require.Len(t, lines, 24)
	var first tasks.Prediction
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	require.Equal(t, "no", first.Target)
	require.Len(t, first.Scores, 2)

	stdout, said, code = finetune("--shots", "2,all", "--seeds", "2")
	require.Equal(t, exitDone, code, said)
	require.Equal(t, 6, strings.Count(stdout, "\n")-2, stdout)
	require.Contains(t, stdout, "texts a class")
	drawn := filepath.Join(l.dir, "adapt.png")
	stdout, said, code = finetune("--adapt", "full,head,lora:rank=2,prompt:tokens=1", "--seeds", "2", "--shots", "4", "--control", "--plot", drawn)
	require.Equal(t, exitDone, code, said)
	for _, row := range []string{"head, from scratch", "lora:rank=2", "prompt:tokens=1", "full", "share, %", "TF-IDF and logistic regression: ", "picture: " + drawn} {
		require.Contains(t, stdout, row)
	}
	require.Less(t, strings.Index(stdout, "head"), strings.Index(stdout, "full"), "the fewest first")
	require.FileExists(t, drawn)
	stdout, said, code = finetune("--adapt", "lora:rank=2")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "learned: lora:rank=2, ")
	card, said, code := l.inProcess(t.Context(), "card", "--model", model)
	require.Equal(t, exitDone, code, said)
	require.Contains(t, card, "| mine | lora:rank=2, ")
	for args, want := range map[string]string{
		"--adapt tune":                               "task.adaptation must be one of",
		"--adapt full,tune":                          "task.adaptation must be one of",
		"--adapt head,head":                          "is given twice",
		"--adapt head:rank=2":                        "has no options",
		"--adapt full:rank=2":                        "has no options",
		"--adapt lora:rank":                          "is not an assignment",
		"--adapt head --set task.adaptation=bias":    "--adapt and --set task.adaptation both say what learns",
		"--adapt head,bias --shots 2,4":              "are two comparisons",
		"--adapt head,bias --predictions a":          "--predictions are those of one fine-tuning",
		"--adapt head --plot a.png":                  "--plot draws what several ways",
		"--adapt head,bias --plot a.jpg":             "give it a name that ends in .png",
		"--adapt head --set optimizer.layer_decay=1": "task.adaptation leaves the layers as they are",
	} {
		_, said, code := finetune(strings.Fields(args)...)
		require.Equal(t, exitUser, code, "%s: %s", args, said)
		require.Contains(t, said, want, args)
	}
	for args, want := range map[string]string{
		"--shots 30":                       `of the label "no" there are 12 training examples, and 30 are asked for`,
		"--shots x":                        "--shots takes numbers",
		"--seeds 0":                        "--seeds must be 1 or more",
		"--published bert":                 "there is no recipe of fine-tuning",
		"--choose":                         "there is nothing to choose a learning rate by",
		"--control --from-scratch":         "--control trains the network from scratch beside",
		"--predictions a --seeds 2":        "--predictions are those of one fine-tuning",
		"--set training.accumulate=3":      "training.batch_size",
		"--data " + l.dir:                  "a task file says itself",
		"--steps 1 --epochs 1":             "takes one value",
		"--learning-rate 1e-3 --choose":    "--choose tries learning rates",
		"--set task.name=other":            "that is what --task says",
		"--set data.seq_len=4":             "no room for texts",
		"--set main.layers=3":              "main.layers=3: fine-tuning trains the pretrained model as it is, which has 1",
		"--set training.steps=7":           "says training.steps too",
		"--predictions " + predictions:     "is there already, and nothing is overwritten",
		"--set optimizer.layer_decay=none": "optimizer.layer_decay",
	} {
		_, said, code := finetune(strings.Fields(args)...)
		require.Equal(t, exitUser, code, "%s: %s", args, said)
		if args != "--steps 1 --epochs 1" {
			require.Contains(t, said, want, args)
		}
	}
	l.write("rows.tsv", rows+"one column\n")
	_, said, code = finetune()
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "rows.tsv:26: 1 columns where the first line has 2")
	_, said, code = finetune("--skip-bad-rows")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, said, "2 of 50 rows cannot be read")
}

func TestTasksAreListed(t *testing.T) {
	stdout, said, code := newLab(t).inProcess(t.Context(), "tasks")
	require.Equal(t, exitDone, code, said)
	for _, s := range tasks.Sets() {
		require.Contains(t, stdout, s.Name)
	}
}

// A card says what the folder of a model tells, and what it does not.
func TestCard(t *testing.T) {
	l := newLab(t)
	model := l.folder()
	l.write("electra/finetune-mine.json", `{"task": "mine", "kind": "tagging", "metric": "entity_f1", "test_texts": 7, "model": {"metrics": {"entity_f1": 0.5}}, "majority": {"metrics": {"entity_f1": 0.25}}, "steps": 3}`)
	stdout, said, code := l.inProcess(t.Context(), "card", "--model", model)
	require.Equal(t, exitDone, code, said)
	require.True(t, strings.HasPrefix(stdout, "---\nlibrary_name: metrolab\n"))
	require.Contains(t, stdout, "- Licence: (to be filled in)")
	require.Contains(t, stdout, "| mine | all weights | 7 | entity f1 | 0.500 | – | 0.250 | 3 | 0 |")

	_, said, code = l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	path := filepath.Join(l.dir, "card.md")
	_, said, code = l.inProcess(t.Context(), "card", "--model", l.onlyRun("runs"), "--output", path)
	require.Equal(t, exitDone, code, said)
	text := l.read(path)
	require.Contains(t, text, "| `training.steps` | 10 |")
	require.Contains(t, text, "## Measured")
	require.NotContains(t, text, "| `data.corpus` |", "a path is of one machine")
	_, said, code = l.inProcess(t.Context(), "card", "--model", l.onlyRun("runs"), "--output", path)
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "is there already, and nothing is overwritten", "somebody may have filled it in")
}
