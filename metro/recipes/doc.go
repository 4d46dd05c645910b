// SPDX-License-Identifier: Apache-2.0

// Package recipes holds the named configurations. Each file's header says where its numbers come from and what a run
// costs; every recipe is trained for a few steps by the tests.
package recipes
