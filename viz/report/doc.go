// SPDX-License-Identifier: Apache-2.0

// Package report writes what a study found as one self-contained HTML page: the answer first, then the effects, the
// figures, every run and every config, and where the numbers come from. Equal input gives equal bytes.
package report
