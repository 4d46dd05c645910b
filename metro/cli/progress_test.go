// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// A loss that rounding has made a little less than nothing is nothing.
func TestLossOfNothing(t *testing.T) {
	require.Equal(t, "loss 0.000", training.Progress{Phase: "training", Loss: -1e-9}.String())
	require.Equal(t, "loss -0.100", training.Progress{Phase: "training", Loss: -0.1}.String())
}

// The progress of a training is one row at the bottom, at every width and when that changes; what is said stays above it,
// and at the end nothing else is left.
func TestBarIsOneRow(t *testing.T) {
	for _, columns := range []int{20, 40, 60, 80, 100, 140} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				term := newTerminal(columns)
				s := &screen{w: term, size: term.size}
				fmt.Fprintln(s, "run: x")
				b := &bar{name: "training", screen: s}
				p := training.Progress{Steps: 1000, Phase: "compiling", Loss: math.NaN()}
				b.train(p)
				defer b.finish()
				require.Equal(t, "training: comp", term.rows()[1][:14])
				time.Sleep(5500 * time.Millisecond)
				if columns >= 40 {
					require.Equal(t, "training: compiling, 5 s", term.rows()[1])
				}
				p.Phase = "training"
				said := 1
				for step := 1; step <= 1000; step++ {
					if p.Step = step; step > 100 {
						p.Loss, p.TokensPerSecond = 1.2345, 67890
					}
					b.train(p)
					time.Sleep(100 * time.Millisecond)
					switch {
					case step%200 == 0: // narrower and wider
						term.resize(max(12, (columns * (step%3 + 1) / 2)))
					case step%333 == 0:
						said++
						fmt.Fprintln(s, "warned")
					case step == 500: // what a terminal shows of Ctrl-C
						fmt.Fprint(term, "^C")
					}
					if step%200 > 20 && step != 500 {
						rows := term.rows()
						require.Len(t, rows, said+1, term.String())
						if term.columns >= 20 {
							require.Contains(t, rows[said], "%")
						}
						require.NotContains(t, rows[said], "training training")
						require.NotContains(t, term.String(), "^")
						require.LessOrEqual(t, uniseg.StringWidth(rows[said]), term.columns-3)
					}
				}
				if columns = term.columns; columns >= 80 {
					require.Contains(t, term.String(), "loss 1.234, 67,890 tokens/s")
				}
				b.finish()
				require.Equal(t, "run: x\nwarned\nwarned\nwarned", term.String())
				require.Empty(t, term.unknown)
			})
		})
	}
}

// What a bar says: the time left comes first, and what has no room is left out, not cut.
func TestBarLine(t *testing.T) {
	b := &bar{name: "training", done: 40, total: 100, words: "3 min left, loss 5.678, 12,345 tokens/s"}
	for columns, want := range map[int]string{
		140: "training █████████░░░░░░░░░░░░░░░ 40 %, 3 min left, loss 5.678, 12,345 tokens/s",
		80:  "training ████████░░░░░░░░░░░░░░ 40 %, 3 min left, loss 5.678, 12,345 tokens/s",
		60:  "training 40 %, 3 min left, loss 5.678, 12,345 tokens/s",
		40:  "training 40 %, 3 min left, loss 5.678",
		20:  "training 40 %",
		12:  "training…",
		1:   "…",
	} {
		require.Equal(t, want, b.line(columns), columns)
	}
	require.Equal(t, "学習率を…", cut("学習率を大きくする", 10))
	require.Equal(t, "学習率", cut("学習率", 6))
}

// A study's table stands above the bar and is drawn again in place, also with names of wide characters and when the
// terminal becomes narrower; where it has no room, the bar is alone.
func TestBoardIsDrawnInPlace(t *testing.T) {
	study := ablations.Study{
		Name: "s", Recipe: "micro", Outcome: ablations.OutcomeOf("frozen_auc_unigram"), Baseline: recipes.Micro(), Seeds: []int64{0, 1},
		Changes: []ablations.Change{{Name: "学習率を大きくする", Set: []string{"seed=0"}}, {Name: "generator of half the width", Set: []string{"seed=0"}}},
	}
	for _, columns := range []int{60, 80, 100, 140} {
		synctest.Test(t, func(t *testing.T) {
			term := newTerminal(columns)
			s := &screen{w: term, size: term.size}
			fmt.Fprintln(s, "study s")
			b := newBoard(study)
			b.bar.screen = s
			defer b.finish()
			done := 0
			for _, seed := range study.Seeds {
				for _, arm := range []string{"baseline", "学習率を大きくする", "generator of half the width"} {
					e := ablations.Event{Arm: arm, Seed: seed, Total: 6, Done: done, Progress: training.Progress{Steps: 100, Phase: "compiling", Loss: math.NaN()}}
					b.report(e)
					for step := range 100 {
						time.Sleep(time.Second)
						e.Progress = training.Progress{Step: step, Steps: 100, Phase: "training", Loss: 4}
						b.report(e)
						if done == 4 && step == 50 {
							term.resize(columns - 20)
						}
					}
					done++
					e.Done, e.Result = done, &training.Result{Metrics: runs.Values{"frozen_auc_unigram": 0.7 + float64(done)/100}}
					b.report(e)
					time.Sleep(time.Second)
					text := term.String()
					require.Equal(t, 1, strings.Count(text, "%,"), text)
					require.LessOrEqual(t, strings.Count(text, "\nbaseline "), 1, text)
					require.True(t, strings.HasPrefix(text, "study s\n"), text)
					if columns >= 80 && done < 4 {
						require.Contains(t, text, "\nbaseline ", text)
					}
					if strings.Contains(text, "verdict") && done > 3 && columns >= 100 {
						require.Regexp(t, "undecided|interim", text)
					}
				}
			}
			b.finish()
			require.Equal(t, "study s", term.String())
			require.Empty(t, term.unknown)
		})
	}
}

// On what is no terminal there are whole lines: each phase, each quarter, and one a minute.
func TestBarWithoutATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := &bar{name: "training", screen: &screen{w: &log}}
		p := training.Progress{Steps: 100, Phase: "compiling", Loss: math.NaN()}
		b.train(p)
		p.Phase = "training"
		for p.Step = 1; p.Step <= 100; p.Step++ {
			time.Sleep(time.Second)
			if p.Step > 20 {
				p.Loss = 2
			}
			b.train(p)
		}
		b.finish()
		require.Equal(t, strings.TrimLeft(`
training: compiling
training: 25%, 75 s left, loss 2.000
training: 50%, 50 s left, loss 2.000
training: 75%, 25 s left, loss 2.000
training: 100%, loss 2.000
`, "\n"), log.String())

		log.Reset()
		slow := &bar{name: "preparing text", screen: &screen{w: &log}}
		for done := range 10 {
			slow.set(done, 1000)
			time.Sleep(45 * time.Second)
		}
		slow.set(1000, 1000)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 5, log.String())
		for _, line := range lines {
			require.Regexp(t, `^preparing text: \d+%(, \S+ (s|min|h) left)?$`, line)
		}
	})
}
