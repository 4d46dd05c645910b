// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package machine

import "time"

// ProcessorTime is not known here.
func ProcessorTime() time.Duration { return 0 }
