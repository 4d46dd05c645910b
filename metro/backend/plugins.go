// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Plugin is a PJRT plugin file found on this machine.
type Plugin struct {
	Path    string // where it was found; it may be a symbolic link
	Kind    Kind   // [XLACPU] or [XLACUDA], told from the file's name
	Problem string // why it cannot be used; empty if it looks sound
}

// searchPath lists the directories in which plugins are looked for, in order. $PJRT_PLUGIN_LIBRARY_PATH, if set, replaces
// all others. Else they are go-xla's directories under the user's home (where scripts/setup installs) and under /usr/local,
// and those of $LD_LIBRARY_PATH. Relative entries are left out.
func searchPath() []string {
	list, set := os.LookupEnv("PJRT_PLUGIN_LIBRARY_PATH")
	var dirs []string
	if !set {
		if home, err := os.UserHomeDir(); err == nil {
			dirs = goXLADirs(filepath.Join(home, ".local"))
		}
		dirs = append(dirs, goXLADirs("/usr/local")...)
		list = os.Getenv("LD_LIBRARY_PATH")
	}
	for _, dir := range filepath.SplitList(list) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func goXLADirs(prefix string) []string {
	dir := filepath.Join(prefix, "lib", "go-xla")
	return []string{dir, filepath.Join(dir, "nvidia")}
}

// findPlugins looks into each directory and inspects what is there. A file reached by two names is listed once.
func findPlugins(dirs []string) []Plugin {
	var found []Plugin
	seen := map[string]bool{}
	for _, dir := range dirs {
		for _, path := range pluginFiles(dir) {
			kind, ok := kindOf(path)
			real := realPath(path, kind)
			if !ok || seen[real] {
				continue
			}
			seen[real] = true
			found = append(found, Plugin{Path: path, Kind: kind, Problem: inspect(real, kind)})
		}
	}
	return found
}

// pluginFiles returns the files of dir that go by a name go-xla would load, sorted, so that the plain name
// (pjrt_c_api_cpu_plugin.so) comes before one with a version.
func pluginFiles(dir string) []string {
	var files []string
	for _, pattern := range []string{"pjrt_c_api_*_plugin.so", "pjrt-plugin-*.so", "pjrt_plugin_*.so"} {
		matches, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well formed
		files = append(files, matches...)
	}
	return files
}

// kindOf tells the kind from the file's name, as go-xla does. Plugins for other hardware have no kind here.
func kindOf(path string) (Kind, bool) {
	name := strings.ToLower(filepath.Base(path))
	switch {
	case strings.Contains(name, "cuda"):
		return XLACUDA, true
	case strings.Contains(name, "cpu"):
		return XLACPU, true
	}
	return "", false
}

// realPath follows links, because a CUDA plugin finds NVIDIA's libraries relative to the path it was loaded by. The link's
// own path stays where the file is gone, or where its name would hide the kind.
func realPath(path string, kind Kind) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	if k, ok := kindOf(real); !ok || k != kind {
		return path
	}
	return real
}
