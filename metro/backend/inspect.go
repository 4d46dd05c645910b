// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"strings"
)

// entryPoint is the function that every PJRT plugin exports.
const entryPoint = "GetPjrtApi"

// inspect says in a few words why the file cannot be a working plugin of its kind, or returns "". It reads the headers
// only: loading a damaged library can end the process, so that must not be how we find out.
func inspect(path string, kind Kind) string {
	if kind == XLACPU && misreadAsCUDA(path) {
		return "lies in a folder with cuda or nvidia in its name, which makes go-xla take it for the CUDA plugin; " +
			"set PJRT_PLUGIN_LIBRARY_PATH to another folder"
	}
	return inspectFile(path)
}

// misreadAsCUDA is go-xla's own test, which looks at the whole path and not at the file's name alone.
func misreadAsCUDA(path string) bool {
	path = strings.ToLower(path)
	return strings.Contains(path, "cuda") || strings.Contains(path, "nvidia")
}

func inspectFile(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	if !info.Mode().IsRegular() {
		return "is not a regular file"
	}
	file, err := elf.Open(path)
	if err != nil { // a file that is cut short ends here: the table of sections is at its end
		return "is damaged or no shared library: " + err.Error()
	}
	defer file.Close()
	if file.Type != elf.ET_DYN || file.Machine != elf.EM_X86_64 {
		return fmt.Sprintf("is %v for %v, not a shared library for amd64", file.Type, file.Machine)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return "has no readable symbol table: " + err.Error()
	}
	isEntry := func(s elf.Symbol) bool { return s.Name == entryPoint && s.Section != elf.SHN_UNDEF }
	if !slices.ContainsFunc(symbols, isEntry) {
		return "does not export " + entryPoint + ", so it is no PJRT plugin"
	}
	return ""
}
