// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"runtime"

	"github.com/dustin/go-humanize"
	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"metrolab/metro/backend"
	"metrolab/metro/text"
	"metrolab/viz/table"
)

func doctorCommand() *cobra.Command {
	var w workspaceFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is here and how to get what is missing",
		Long: `Prints the backend that would be picked, its plugin and version, devices, vector instructions, cores, memory and
the corpus, and a line for each thing that is missing or broken with the way to mend it. Nothing is downloaded.`,
		Example: "  metro doctor\n  metro doctor --backend xla\n  metro doctor --devices 4",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return doctor(cmd, w)
		},
	}
	w.addTextFlags(cmd)
	return cmd
}

func doctor(cmd *cobra.Command, w workspaceFlags) error {
	machine := backend.Probe()
	t := table.Table{Columns: []table.Column{{Name: "what"}, {Name: "found"}}}
	add := func(what, format string, args ...any) {
		t.Rows = append(t.Rows, []any{what, fmt.Sprintf(format, args...)})
	}
	advice := machine.Advice()
	spec, err := w.devices.of(w.backend)
	if err != nil {
		return err
	}
	engine, err := during("loading the backend", func() (compute.Backend, error) { return backend.Open(spec) })
	if err != nil {
		add("backend", "none: %v", err)
		advice = append(advice, "choose another --backend")
	} else {
		info := backend.Describe(engine)
		add("backend", "%s", info.Kind)
		add("plugin", "%s", orNone(info.Plugin))
		add("plugin version", "%s", orNone(info.PluginVersion))
		add("devices", "%s", devices(info))
	}
	add("other plugins", "%d found", len(machine.Plugins))
	add("NVIDIA GPUs", "%d", len(machine.GPUs))
	add("vector instructions", "%s", map[bool]string{true: "yes (GOEXPERIMENT=simd)", false: "no"}[machine.SIMD])
	add("cores", "%d", machine.Cores)
	add("memory", "%s", memory(machine.Memory))
	add("go", "%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	corpus, err := prepareCorpus(cmd.Context(), w.corpus, textFlags{})
	if err != nil {
		add("corpus", "none")
		advice = append(advice, err.Error())
	} else {
		total := corpus.Stats.Total()
		add("corpus", "%s: %s paragraphs, %s words, %.1f MB, hash %s", corpus.Source, humanize.Comma(total.Documents), humanize.Comma(total.Words), float64(total.Bytes)/1e6, corpus.Hash[:12])
		add("corpus folder", "%s", corpus.Dir)
	}
	if cache, err := text.CacheDir(); err == nil {
		add("cache", "%s", cache)
	}
	out := cmd.OutOrStdout()
	printTable(out, t)
	printAdvice(out, advice)
	return nil
}

// devices says how many an engine shows, and what they are where that is not what one would think.
func devices(info backend.Info) string {
	switch {
	case info.Divided > 1 && info.Kind == backend.XLACPU:
		return fmt.Sprintf("%d, parts of the processor, which share the rows of each step", info.Divided)
	case info.Divided > 1:
		return fmt.Sprintf("%d, of which %d share the rows of each step", info.Devices, info.Divided)
	case info.Kind == backend.XLACPU && info.Devices == 1:
		return "1, the processor, which --devices N divides into N"
	case info.Kind == backend.XLACPU:
		return fmt.Sprintf("%d, which are views of the same cores; a run uses one, and with it all cores", info.Devices)
	}
	return fmt.Sprint(info.Devices)
}

func memory(m backend.Memory) string {
	if m.Total == 0 {
		return "unknown, since /proc/meminfo cannot be read"
	}
	return fmt.Sprintf("%s, %s free", size(m.Total), size(m.Available))
}

func printAdvice(w io.Writer, advice []string) {
	if len(advice) == 0 {
		fmt.Fprintln(w, "\nnothing is missing")
		return
	}
	fmt.Fprintln(w, "\nwhat to do:")
	for _, line := range advice {
		fmt.Fprintln(w, "  - "+line)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
