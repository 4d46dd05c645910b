// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearest(t *testing.T) {
	names := []string{"optimizer.learning_rate", "training.batch_size", "training.steps", "seed"}
	for key, want := range map[string]string{
		"optimizer.lerning_rate": "optimizer.learning_rate", "lr": "optimizer.learning_rate", "steps": "training.steps",
		"batch": "training.batch_size", "sed": "seed",
	} {
		require.Equal(t, want, Nearest(key, names), key)
	}
	require.Equal(t, "a__b", Nearest("a_b", []string{"a__b"}), "a name without a letter between two signs")
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}} {
		require.Equal(t, c.want, Distance(c.a, c.b))
		require.Equal(t, c.want, Distance(c.b, c.a))
	}
}

func TestPlural(t *testing.T) {
	require.Equal(t, []string{"0 arms", "1 arm", "2 arms"}, []string{Plural(0, "arm"), Plural(1, "arm"), Plural(2, "arm")})
}
