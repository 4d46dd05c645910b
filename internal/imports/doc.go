// SPDX-License-Identifier: Apache-2.0

// Package imports keeps the imports between the project's packages pointing one way.
//
//	layers, metro/masking ← metro ← metro/{text,tokens,data,runs,weights,training,tasks,hf,recipes} ← ablations ← scripts, notebooks
//
// metro/backend, the only package that imports go-xla, is for programs and tests; viz and the packages below it are for
// reports, scripts and notebooks and import no other package of ours. Of these, viz and viz/report link fonts, viz/notebook the
// notebook's protocol, and viz/table neither. Everything may use internal. The package holds no code, only the tests over
// "go list" that check this.
package imports
