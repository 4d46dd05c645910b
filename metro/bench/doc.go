// SPDX-License-Identifier: Apache-2.0

// Package bench measures.
package bench
