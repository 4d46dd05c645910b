// SPDX-License-Identifier: Apache-2.0

// Package claims holds what is published of METRO's family and can be asked of a small model, one file a claim: its source and
// how sure it is, the direction and size that were published, and a study that would confirm or contradict it. The hash of each
// study's plan is committed in the file, so that a verdict is one on what was planned; [Ledger] keeps the verdicts.
package claims
