// SPDX-License-Identifier: Apache-2.0

// Package formats keeps small folders in every format that the project has written, in testdata, and holds no code but the
// test that they open, report, predict and give their weights to new runs.
package formats
