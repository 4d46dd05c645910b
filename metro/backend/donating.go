// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/gomlx/go-xla/stablehlo"

	"metrolab/internal/donation"
)

// donating returns a StableHLO program in which the new values of variables are written over the old ones, as package donation
// says of the graph, and from whose name that is gone: equal graphs are equal programs. Other programs are returned as they are.
func donating(program []byte) []byte {
	header := moduleName.FindSubmatchIndex(program)
	if header == nil {
		return program
	}
	variables := donation.Take(graphName(string(program[header[2]:header[3]])))
	named := append([]byte("module @donating"), program[header[1]:]...)
	at := mainFunction.FindSubmatchIndex(named)
	if at == nil {
		return named
	}
	parameters, results := splitTypes(string(named[at[2]:at[3]])), splitTypes(strings.Trim(string(named[at[4]:at[5]]), "()"))
	if len(variables) > len(results) {
		return named
	}
	of := map[string]int{}
	for i, p := range parameters {
		name, _, _ := strings.Cut(p, ":")
		of[strings.TrimPrefix(strings.TrimSpace(name), "%")] = i
	}
	for result, path := range variables {
		i, ok := of[stablehlo.NormalizeIdentifier(path)]
		if !ok || !strings.HasSuffix(parameters[i], ": "+results[result]) {
			return named // it is not as it was said to be
		}
		parameters[i] = aliased(parameters[i], result)
	}
	return bytes.Join([][]byte{named[:at[2]], []byte(strings.Join(parameters, ", ")), named[at[3]:]}, nil)
}

var (
	moduleName   = regexp.MustCompile(`^module @(donating_\w+)`)
	mainFunction = regexp.MustCompile(`func\.func @main\(([^)]*)\) -> (\([^)]*\)|[^ ]+) \{`)
)

// aliased adds to a parameter that a result is written over it; it may have attributes, which say how several devices share it.
func aliased(parameter string, result int) string {
	alias := fmt.Sprintf("tf.aliasing_output = %d : i32", result)
	if attributed, ok := strings.CutSuffix(parameter, " }"); ok {
		return attributed + ", " + alias + " }"
	}
	return parameter + " {" + alias + "}"
}

// graphName is the name that package donation gave a graph whose module has a name.
func graphName(module string) string {
	parts := strings.SplitN(module, "_", 3) // donating_12_0 of donating_12#0
	return strings.Join(parts[:min(2, len(parts))], "_")
}

// splitTypes parts a list of parameters or types at the commas that are in no bracket.
func splitTypes(list string) (parts []string) {
	depth, from := 0, 0
	for i, r := range list {
		switch r {
		case '<', '{', '[':
			depth++
		case '>', '}', ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(list[from:i]))
				from = i + 1
			}
		}
	}
	if last := strings.TrimSpace(list[from:]); last != "" {
		parts = append(parts, last)
	}
	return parts
}
