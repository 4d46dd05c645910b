// SPDX-License-Identifier: Apache-2.0

// Package studies holds the studies that ship, one file each.
package studies
