// SPDX-License-Identifier: Apache-2.0

package lab

import "metrolab/notebooks/lab/local"

// Lab is a workspace of a cell: a backend, a text, and the folder of runs.
type Lab = local.Lab

// Open opens the best backend that is here and this machine's Go documentation; $METROLAB_BACKEND and $METROLAB_CORPUS
// name others.
func Open() *Lab { return local.Open() }

// Short reports whether the notebook is run to be checked rather than read, and should train as little as shows that it
// works.
func Short() bool { return local.Short() }
