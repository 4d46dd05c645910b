// SPDX-License-Identifier: Apache-2.0

// Package rooms keeps the imports between the project's packages pointing one way.
//
//	layers, metro/masking ← metro ← metro/{text,tokens,data,runs,training,tasks,hf,recipes} ← ablations ← scripts, notebooks
//
// metro/backend, the only package that imports go-xla, is for programs and tests; viz is for reports, scripts and notebooks
// and imports no other room. Everything may use internal. The package holds no code, only the test over "go list" that
// checks this.
package rooms
