// SPDX-License-Identifier: Apache-2.0

package view

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/usererr"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/viz"
	"metrolab/viz/display"
	"metrolab/viz/notebook"
	"metrolab/viz/table"
)

// LogFile is what a run in the background has printed, in its directory.
const LogFile = "background.log"

// Follow shows a run that another process trains, in a picture that grows, until the run ends or the cell is interrupted:
// that ends the watching, not the run.
func Follow(id string) *Run {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return Must(follow(ctx, Open(id)))
}

func follow(ctx context.Context, r *Run) (*Run, error) {
	live := notebook.NewLive()
	for {
		state := r.Summary()
		fresh, err := load(r.Run)
		if err != nil {
			return r, err
		}
		r = fresh
		live.Update(func() []notebook.Output { return Frame(r, 0, "") })
		if state.State != runs.Running {
			_ = live.Close()
			return r, ended(r, state)
		}
		select {
		case <-ctx.Done():
			_ = live.Close()
			fmt.Printf("%s goes on: %s; view.Stop(%q) stops it\n", r.ID, r.standing(state), r.ID)
			return r, nil
		case <-time.After(time.Second):
		}
	}
}

// ended says how a run ended.
func ended(r *Run, state runs.Summary) error {
	switch state.State {
	case runs.Finished:
		fmt.Printf("%s is finished after %d steps\n", r.ID, state.Step)
	case runs.Interrupted:
		if last := lastLine(r.Path(LogFile)); last != "" && !strings.Contains(last, "interrupted") {
			return usererr.New("%s has stopped, %s: %s", r.ID, r.standing(state), last)
		}
		fmt.Printf("%s has stopped, %s; the call that began it goes on\n", r.ID, r.standing(state))
	default:
		return usererr.New("%s is damaged: %s", r.ID, state.Problem)
	}
	return nil
}

// standing says how far a run is. Until its first line is written, the process that trains it has told neither its step nor
// how many there will be; these its config tells.
func (r *Run) standing(state runs.Summary) string {
	var config struct {
		Config struct {
			Training struct {
				Steps int `json:"steps"`
			} `json:"training"`
		} `json:"config"`
	}
	total := state.Total
	if total == 0 && runs.ReadJSON(r.Path(runs.ConfigFile), &config) == nil {
		total = config.Config.Training.Steps
	}
	saved, found, err := runs.Checkpoints{Dir: r.Path(runs.CheckpointsDir)}.Latest(nil)
	switch {
	case state.State == runs.Running:
		return fmt.Sprintf("step %d of %d", state.Step, total)
	case err == nil && found:
		return fmt.Sprintf("saved after step %d of %d", saved.Step, total)
	default:
		return fmt.Sprintf("before anything was saved of %d steps", total)
	}
}

func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// Stop asks the process that trains a run to save and stop, and waits until it has.
func Stop(id string) { Check(stop(Open(id), 30*time.Second)) }

func stop(r *Run, patience time.Duration) error {
	if err := r.Interrupt(); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		if state := r.Summary(); state.State != runs.Running {
			fmt.Printf("%s has stopped, %s; the call that began it goes on\n", r.ID, r.standing(state))
			return nil
		}
	}
	return usererr.New("%s was asked to stop %s ago and still runs; look at %s", r.ID, patience, filepath.Join(r.Dir, LogFile))
}

// Frame is a picture of a run under way: its losses so far and a line on where it stands. total is the number of steps and
// left the time that is left in words ("3 min left"), 0 and "" if they are not known.
func Frame(r *Run, total int, left string) []display.Output {
	c := viz.Curves{Name: "training", Title: r.Name, X: viz.Steps, Y: viz.Axis{Label: "loss"}}
	for _, metric := range []string{"generator_loss", "rtd_loss", "clm_loss", "lm_loss", "scl_loss", "loss"} {
		if metric == "loss" && len(c.Series) > 0 {
			break
		}
		if line, err := r.line(metric); err == nil {
			c.Series = append(c.Series, viz.Series{Name: strings.TrimSuffix(metric, "_loss"), Runs: []viz.Line{line}})
		}
	}
	if len(c.Series) == 0 {
		return nil
	}
	last := r.Rows[len(r.Rows)-1]
	t := table.Table{Columns: []table.Column{{Name: "step", Align: table.Right}}, Rows: [][]any{{last.Step}}}
	add := func(name, format string, value any) {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: format})
		t.Rows[0] = append(t.Rows[0], value)
	}
	if total > 0 {
		add("of", "", total)
	}
	for _, key := range []string{"rtd_auc", "generator_accuracy", "replaced_fraction", "tokens_per_second"} {
		if x, ok := last.Values[key]; ok {
			m := metrics.Of(key)
			add(m.Label, m.Format, x)
		}
	}
	if left != "" {
		add("time", "", left)
	}
	return []notebook.Output{c, t}
}
