// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"path/filepath"
	"slices"
	"strings"
)

// A spec is what the user wrote, taken apart: "xla:cpu,threads=2".
type spec struct {
	text    string
	engine  string   // auto, go, xla, or something unknown
	plugin  string   // behind the colon, for xla only
	options []string // the backend's own
	devices string   // behind devices=, an option of ours
}

func parseSpec(text string) spec {
	head, rest, _ := strings.Cut(text, ",")
	engine, which, _ := strings.Cut(head, ":")
	s := spec{text: text, engine: engine}
	switch engine {
	case "":
		s.engine = "auto"
	case "go": // GoMLX puts this backend's options behind the colon
		rest = which + "," + rest
		which = ""
	}
	s.plugin = which
	for option := range strings.SplitSeq(rest, ",") {
		if devices, ok := strings.CutPrefix(option, "devices="); ok {
			s.devices = devices
		} else if option != "" {
			s.options = append(s.options, option)
		}
	}
	return s
}

// searches reports whether plugins have to be looked for.
func (s spec) searches() bool {
	return s.engine == "auto" || s.engine == "xla" && !filepath.IsAbs(s.plugin)
}

// goOptions adds ops_sequential unless the options name a mode: the default mode deadlocks on graphs of a realistic size.
func (s spec) goOptions() []string {
	if slices.Contains(s.options, "ops_sequential") || slices.Contains(s.options, "ops_parallel") {
		return s.options
	}
	return append([]string{"ops_sequential"}, s.options...)
}
