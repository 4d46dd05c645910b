// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"metrolab/internal/usererr"
)

// setCUDAEnv prepares the environment that XLA reads when the CUDA plugin is loaded. What the user has set stays.
func setCUDAEnv(plugin string) error {
	dir, err := findToolkit(plugin)
	if err != nil {
		return err
	}
	flags := cudaFlags(os.Getenv("XLA_FLAGS"), dir)
	if err := os.Setenv("XLA_FLAGS", flags); err != nil {
		return fmt.Errorf("setting XLA_FLAGS: %w", err)
	}
	// go-xla's own check knows one layout only and warns about all others.
	if _, set := os.LookupEnv("GOPJRT_CUDA_CHECKS"); set {
		return nil
	}
	if err := os.Setenv("GOPJRT_CUDA_CHECKS", "0"); err != nil {
		return fmt.Errorf("setting GOPJRT_CUDA_CHECKS: %w", err)
	}
	return nil
}

// cudaDir returns the folder of CUDA that came with the plugin, or "". The two places are those of the plugin's own library path:
// beside it (go-xla's layout) and two folders up (that of JAX).
func cudaDir(plugin string) string {
	dir := filepath.Dir(plugin)
	for _, up := range []string{"../..", ".."} {
		candidate := filepath.Join(dir, up, "nvidia", "cu13")
		if info, err := os.Stat(candidate); err == nil && info.IsDir() {
			return candidate
		}
	}
	return ""
}

// toolkitFiles are what XLA compiles with beside its plugin. Where it finds neither, it ends the process.
var toolkitFiles = []string{"bin/ptxas", "nvvm/libdevice/libdevice.10.bc"}

// findToolkit returns the folder with NVIDIA's assembler and device library for the plugin: the one that XLA_FLAGS names, or the
// one that came with the plugin, or that of an installation of CUDA. None of them is the user's error.
func findToolkit(plugin string) (string, error) {
	if _, dir, ok := strings.Cut(os.Getenv("XLA_FLAGS"), cudaDataFlag+"="); ok {
		dir, _, _ = strings.Cut(dir, " ")
		if missing := lacks(dir); missing != "" {
			return "", usererr.New("XLA_FLAGS has %s=%s, which holds no %s", cudaDataFlag, dir, missing)
		}
		return dir, nil
	}
	const installed = "/usr/local/cuda"
	beside := cudaDir(plugin)
	for _, dir := range []string{beside, installed} {
		if dir != "" && lacks(dir) == "" {
			return dir, nil
		}
	}
	if beside == "" {
		beside = filepath.Join(filepath.Dir(plugin), "cu13")
	}
	return "", usererr.New("the plugin %s compiles with %s, which is neither in %s nor in %s; run ./scripts/setup --cuda", plugin, lacks(beside), beside, installed)
}

// lacks returns the first of CUDA's files that is not in dir, or "".
func lacks(dir string) string {
	for _, name := range toolkitFiles {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			return name
		}
	}
	return ""
}

const cudaDataFlag = "--xla_gpu_cuda_data_dir"

// cudaFlags adds the folder of CUDA to the user's XLA flags, unless they name one.
func cudaFlags(flags, dir string) string {
	if dir == "" || strings.Contains(flags, cudaDataFlag) {
		return flags
	}
	return strings.TrimSpace(flags + " " + cudaDataFlag + "=" + dir)
}
