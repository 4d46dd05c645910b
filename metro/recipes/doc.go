// SPDX-License-Identifier: Apache-2.0

// Package recipes holds the named configurations. Each file's header says where its numbers come from and what a run
// costs; all but base take a few steps in the tests.
package recipes
