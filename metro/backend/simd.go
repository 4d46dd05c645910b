// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && goexperiment.simd

package backend

// simdBuilt is true when the compiler was told GOEXPERIMENT=simd: the pure-Go backend then uses vector instructions.
const simdBuilt = true
