#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the kernel of this checkout. Jupyter calls it with the path of a connection file.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../env.sh"

# A program that was not started from a shell, such as VS Code, may know no Go; --install-kernel wrote down where it is.
command -v go >/dev/null || PATH=$PATH:${METROLAB_GO:-/usr/local/go/bin}
METROLAB_GO_PROGRAM=$(command -v go)
export METROLAB_GO_PROGRAM PATH=$METROLAB_ROOT/scripts/kernels/bin:${METROLAB_TOOLS:-$METROLAB_ROOT/tools/bin}:$PATH

# The kernel makes a Go workspace of a cell and the checkout; GOWORK would hide it.
unset GOWORK

# The kernel is GoNB behind a program of this checkout; both write a log to stderr, and why they died if they did:
# METROLAB_KERNEL_LOG=FILE keeps it.
exec notebookkernel "$1" 2>>"${METROLAB_KERNEL_LOG:-/dev/null}"
