// SPDX-License-Identifier: Apache-2.0

// Package backend picks the engine that runs the graphs, and says which one it picked.
//
// There are three kinds. The pure-Go backend is always there. The XLA backends load a PJRT plugin, a shared library that
// scripts/setup puts into the user's directory; they are several times faster. This package is the only one that links
// XLA, and model code never needs it: programs, tests and notebook cells open a backend once and pass it on.
//
//	be, err := backend.Open("auto")
//	if err != nil { ... }
//	fmt.Println(backend.Describe(be))
//
// # What auto picks
//
// [Open] takes the CUDA plugin if there is a GPU and a plugin for it, else the XLA CPU plugin, else pure Go. The choice is
// made from files alone: nothing is ever downloaded, and a plugin that is damaged is passed over with a warning. Plugins
// are looked for in $PJRT_PLUGIN_LIBRARY_PATH if that is set, else in ~/.local/lib/go-xla, where scripts/setup installs, in
// /usr/local/lib/go-xla and in $LD_LIBRARY_PATH; go-xla itself is only ever given one absolute path, so that
// it neither searches nor installs.
//
// # Where it builds
//
// XLA is linked on Linux amd64 with cgo. Everywhere else, and with the build tag noxla, the package builds without it and
// is pure Go.
//
// # Memory
//
// What a program on the processor holds in between is kept for its next run, on huge pages where the kernel has them, as long as
// that is at most an eighth more than was once in use at a time.
//
// # Determinism
//
// Pure Go and XLA CPU give the same bits for the same graph and inputs, run after run and whatever the number of cores;
// XLA CPU for one number of threads, which [Open] and [Fit] do not take from the machine.
// The three kinds agree with each other to rounding only, and so do pure-Go programs built with and without SIMD. On CUDA
// some kernels depend on timing; a run that [Needs] equal bits gets an engine whose compilations have XLA's flag for others, which
// take longer.
//
// Random numbers drawn inside a graph differ between pure Go and XLA for the same seed.
//
// # Limits
//
// The pure-Go backend always runs one operation at a time (each over all cores): its concurrent mode can wait for ever on
// graphs of a realistic size.
package backend
