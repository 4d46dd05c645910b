# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every script and every build by hand should share. Source it:  . scripts/env.sh

# The root of the checkout, wherever the script was called from.
METROLAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export METROLAB_ROOT

# Vector instructions make the pure-Go backend about three times as fast; Go has them on amd64 only.
if [[ $(uname -m) == x86_64 && ",${GOEXPERIMENT:-}," != *,simd,* ]]; then
	export GOEXPERIMENT="${GOEXPERIMENT:+$GOEXPERIMENT,}simd"
fi
