// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"context"
	"fmt"
	"log"

	"metrolab/metro/minimalpairs"
)

// What the length of sentences alone scores: right about one pair, wrong about one, and four ties, which the rule decides about.
func Example() {
	set, err := minimalpairs.Read("testdata/pairs", minimalpairs.Options{})
	if err != nil {
		log.Fatal(err)
	}
	outcomes, err := minimalpairs.Compare(context.Background(), set, minimalpairs.Characters(), nil)
	if err != nil {
		log.Fatal(err)
	}
	all := minimalpairs.Aggregate(set, []minimalpairs.Outcomes{outcomes}, nil)[0]
	fmt.Printf("%d pairs of %d paradigms, %d of them equal\n", set.Pairs(), len(set.Paradigms), set.Equal())
	fmt.Printf("ties right %.1f %%, half %.1f %%, wrong %.1f %%\n",
		100*all.Accuracy.Right.Value, 100*all.Accuracy.Half.Value, 100*all.Accuracy.Wrong.Value)
	// Output:
	// 6 pairs of 3 paradigms, 1 of them equal
	// ties right 83.3 %, half 50.0 %, wrong 16.7 %
}
