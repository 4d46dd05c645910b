// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setCUDAEnv prepares the environment that XLA reads when the CUDA plugin is loaded. What the user has set stays.
func setCUDAEnv(plugin string, deterministic bool) error {
	flags := cudaFlags(os.Getenv("XLA_FLAGS"), cudaDir(plugin), deterministic)
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

// cudaDir returns the folder with CUDA's ptxas and libdevice that came with the plugin, or "" to let XLA look for one. The
// two places are those of the plugin's own library path: beside it (go-xla's layout) and two folders up (that of JAX).
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

// cudaFlags adds to the user's XLA flags those that are not there yet.
func cudaFlags(flags, dir string, deterministic bool) string {
	add := func(flag, value string) {
		if !strings.Contains(flags, flag) {
			flags = strings.TrimSpace(flags + " " + flag + "=" + value)
		}
	}
	if dir != "" {
		add("--xla_gpu_cuda_data_dir", dir)
	}
	if deterministic {
		add("--xla_gpu_deterministic_ops", "true")
	}
	return flags
}
