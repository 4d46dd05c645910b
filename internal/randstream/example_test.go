// SPDX-License-Identifier: Apache-2.0

package randstream_test

import (
	"fmt"

	"metrolab/internal/randstream"
)

// Step 1000 of a stream is there at once: nothing is drawn in between, and other streams do not matter.
func ExampleNew() {
	fmt.Println(randstream.New(1, "mask", 1000).IntN(100), randstream.New(1, "sample", 1000).IntN(100))
	fmt.Println(randstream.New(1, "mask", 1000).IntN(100))
	// Output:
	// 33 26
	// 33
}
