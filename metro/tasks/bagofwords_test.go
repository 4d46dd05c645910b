// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWords(t *testing.T) {
	require.Equal(t, []string{"don", "t", "über", "x86", "64"}, words("Don't ÜBER-x86_64!"))
	require.Empty(t, words(" .,\t"))
}

// ln 3 and ln 2 over √(ln²3 + ln²2) for "a a b". Worked out in Python: x, y = log(3), log(2); x/hypot(x, y), y/hypot(x, y).
func TestBagGolden(t *testing.T) {
	vocabulary := map[string]int{}
	b := newBag(vocabulary, "A a b", true)
	require.Equal(t, map[string]int{"a": 0, "b": 1}, vocabulary)
	require.Len(t, b, 2)
	require.InDelta(t, 0.845737, b[0].value, 1e-6)
	require.InDelta(t, 0.533600, b[1].value, 1e-6)
	require.Empty(t, newBag(vocabulary, "c d", false))
	require.Len(t, vocabulary, 2, "the test part adds no words")
}

func TestLogSoftmax(t *testing.T) {
	z := []float64{1000, 1000 + math.Ln2, -1000}
	toLogSoftmax(z)
	require.InDelta(t, math.Log(1.0/3), z[0], 1e-12)
	require.InDelta(t, math.Log(2.0/3), z[1], 1e-12)
	require.InDelta(t, -2000-math.Log(3), z[2], 1e-9)
}

// Two classes that share all words but one in each text: found without a mistake, and the same each time. Words that
// training never saw are passed over, and a text of nothing else goes to the class of the bias.
func TestBagOfWords(t *testing.T) {
	task := Classification{Classes: []string{"a", "b"}}
	for i := range 40 {
		text := fmt.Sprintf("of the %s number %d and so on", [2]string{"reader", "writer"}[i%2], i/2)
		part := &task.Train
		if i >= 30 {
			part = &task.Test
		}
		*part = append(*part, Example{Text: text, Class: i % 2})
	}
	predicted := bagOfWords(task)
	require.Equal(t, classesOf(task.Test), predicted)
	require.Equal(t, predicted, bagOfWords(task))
	task.Test = []Example{{Text: "entirely unknown", Class: 1}}
	require.Len(t, bagOfWords(task), 1)
}
