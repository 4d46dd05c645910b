// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSpec(t *testing.T) {
	for text, want := range map[string]spec{
		"":                               {engine: "auto"},
		"auto":                           {engine: "auto"},
		"auto,deterministic":             {engine: "auto", options: []string{"deterministic"}},
		"go":                             {engine: "go"},
		"go:parallelism=2":               {engine: "go", options: []string{"parallelism=2"}},
		"go:a,b":                         {engine: "go", options: []string{"a", "b"}},
		"xla":                            {engine: "xla"},
		"xla:cpu":                        {engine: "xla", plugin: "cpu"},
		"xla,threads=2":                  {engine: "xla", options: []string{"threads=2"}},
		"xla:cuda,b,,a=1":                {engine: "xla", plugin: "cuda", options: []string{"b", "a=1"}},
		"xla:/a/cpu.so":                  {engine: "xla", plugin: "/a/cpu.so"},
		"xla:/with:colon/cpu.so,a=1,b=2": {engine: "xla", plugin: "/with:colon/cpu.so", options: []string{"a=1", "b=2"}},
	} {
		want.text = text
		require.Equal(t, want, parseSpec(text), "%q", text)
	}
}

func TestPureGoRunsOneOperationAtATimeUnlessToldOtherwise(t *testing.T) {
	for text, want := range map[string][]string{
		"go":                {"ops_sequential"},
		"go:parallelism=2":  {"ops_sequential", "parallelism=2"},
		"go:ops_parallel":   {"ops_parallel"},
		"go:ops_sequential": {"ops_sequential"},
	} {
		require.Equal(t, want, parseSpec(text).goOptions(), "%q", text)
	}
}
