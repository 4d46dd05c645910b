// SPDX-License-Identifier: Apache-2.0

//go:build unix

package notebook

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/stretchr/testify/require"

	"metrolab/viz"
	"metrolab/viz/display"
	"metrolab/viz/table"
)

// cells are programs that a notebook runs in TestMain of another process.
var cells = map[string]func(){
	"show": func() {
		Show(demoCurves("a"), demoTable(), viz.Interactive(demoCorrection()), viz.Interactive(demoSizes()))
	},
	"bad": func() {
		Show(viz.Curves{Name: "empty"}, demoTable(), viz.BiasMap([]string{"only one"}, [][]float64{{1, 2, 3}, {4, 5, 6}}))
	},
	"live": func() {
		live := NewLive()
		defer live.Close()
		for i := range 3 {
			live.now = func() time.Time { return time.Unix(60*int64(i), 0) }
			live.Update(func() []Output {
				return []Output{demoCurves("a"), table.Table{Columns: []table.Column{{Name: "step"}}, Rows: [][]any{{i}}}}
			})
		}
	},
}

func TestMain(m *testing.M) {
	if cell := cells[os.Getenv("VIZ_TEST_CELL")]; cell != nil {
		cell()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runCell runs a cell as the kernel does, with a pipe to it and one back, and returns what it displayed and its errors.
func runCell(t *testing.T, name string) (shown []protocol.DisplayData, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
	var pipes []*os.File
	for _, path := range []string{there, back} {
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		pipe, err := os.OpenFile(path, os.O_RDWR, 0) // opens without waiting for the other end
		require.NoError(t, err)
		defer pipe.Close()
		pipes = append(pipes, pipe)
	}
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VIZ_TEST_CELL="+name, protocol.GONB_PIPE_ENV+"="+there, protocol.GONB_PIPE_BACK_ENV+"="+back)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	require.NoError(t, cmd.Start())
	done := make(chan error)
	go func() {
		done <- cmd.Wait()
		pipes[0].Close()
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		shown = answer(gob.NewDecoder(pipes[0]), gob.NewEncoder(pipes[1]))
	}()
	require.NoError(t, <-done, "%s", &complaints)
	<-ended
	require.Empty(t, out.String())
	require.NoFileExists(t, filepath.Join(dir, Dir))
	return shown, complaints.String()
}

// answer is the kernel's side of the protocol: it acknowledges every sync, and keeps the rest.
func answer(from *gob.Decoder, to *gob.Encoder) (shown []protocol.DisplayData) {
	for {
		var data protocol.DisplayData
		if from.Decode(&data) != nil {
			return shown
		}
		if v, ok := data.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
			to.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: v.Value})
			continue
		}
		shown = append(shown, data)
	}
}

func TestShowInNotebook(t *testing.T) {
	shown, stderr := runCell(t, "show")
	require.Empty(t, stderr)
	require.Len(t, shown, 4)
	curves, err := demoCurves("a").Figure()
	require.NoError(t, err)
	require.Equal(t, map[protocol.MIMEType]any{protocol.MIMEImagePNG: curves.PNG, protocol.MIMETextPlain: curves.Title + "\n" + curves.Alt}, shown[0].Data)
	require.Equal(t, map[string]any{"image/png": map[string]int{"width": 720}}, shown[0].Metadata, "shown at half its pixels")
	markdown, err := demoTable().Markdown()
	require.NoError(t, err)
	require.Equal(t, markdown, shown[1].Data[protocol.MIMETextMarkdown])
	for i, more := range map[int]protocol.MIMEType{2: protocol.MIMETextHTML, 3: display.VegaLite} {
		require.Len(t, shown[i].Data, 3)
		require.Contains(t, shown[i].Data, more)
		require.Contains(t, shown[i].Data, protocol.MIMEImagePNG)
	}
	for _, s := range shown {
		require.Empty(t, s.DisplayID)
	}
}

func TestBadInputInNotebookIsOneLineEach(t *testing.T) {
	shown, stderr := runCell(t, "bad")
	require.Len(t, shown, 1, "what can be shown is")
	require.Equal(t, `viz: curves "empty": nothing to draw: 0 series, 0 runs, no finite value
viz: heat map "bias_map": 2 row names and 1 column names for 2 × 3 values
`, stderr)
}

func TestLiveReplacesItsFrames(t *testing.T) {
	shown, stderr := runCell(t, "live")
	require.Empty(t, stderr)
	require.Len(t, shown, 6, "three frames of two outputs")
	for i, s := range shown {
		require.NotEmpty(t, s.DisplayID)
		require.Equal(t, shown[i%2].DisplayID, s.DisplayID, "in the place of the one before")
	}
	require.NotEqual(t, shown[0].DisplayID, shown[1].DisplayID)
	require.Contains(t, shown[5].Data[protocol.MIMETextMarkdown], "| 2 |")
}

func TestShowWritesFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, Show(demoCurves("a"), viz.Interactive(demoCurves("b")), viz.Interactive(demoCorrection())))
	entries, err := os.ReadDir(Dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"corrected.html", "corrected.png", "outcome.png", "outcome.vl.json"}, names)
	require.EqualError(t, Show(viz.Figure{Name: "f"}), `viz: figure "f" holds no picture; make it by Curves, Forest, Bars or another picture of this package`)
	require.NoError(t, os.WriteFile("taken", nil, 0o600))
	defer func(dir string) { Dir = dir }(Dir)
	Dir = "taken"
	require.ErrorContains(t, Show(demoCurves("a")), "taken")
}

func ExampleShow() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	defer os.Chdir(os.Getenv("PWD"))
	os.Chdir(dir)
	err := Show(
		table.Table{Columns: []table.Column{{Name: "arm"}, {Name: "RTD AUC", Align: table.Right, Format: "%.3f"}}, Rows: [][]any{{"baseline", 0.7697}}},
		viz.Curves{Name: "loss", Title: "Training loss", X: viz.Tokens, Y: viz.Axis{Label: "loss"}, Series: []viz.Series{
			{Name: "baseline", Runs: []viz.Line{{X: []float64{2048, 20480, 204800}, Y: []float64{5.7, 4.1, 2.4}}}},
		}},
		viz.Curves{Name: "empty"},
	)
	fmt.Println(err)
	// Output:
	// arm       RTD AUC
	// ────────  ───────
	// baseline    0.770
	// figures/loss.png
	// viz: curves "empty": nothing to draw: 0 series, 0 runs, no finite value
}
