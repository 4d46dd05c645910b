// SPDX-License-Identifier: Apache-2.0

package studies_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations/studies"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

// Every study that ships must be one that can run: valid arms, no two alike, on every kind of backend.
func TestStudiesAreSound(t *testing.T) {
	for _, name := range studies.Names() {
		for _, backend := range []string{"go", "xla-cpu", "xla-cuda"} {
			s, err := studies.Get(name, backend)
			require.NoError(t, err)
			require.Equal(t, name, s.Name)
			require.NotEmpty(t, s.Question)
			_, err = s.Arms()
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(s.Seeds), 3)
		}
	}
	_, err := studies.Get("nothing", "go")
	require.True(t, usererr.Is(err))
}

// The arms of supertiny keep as many weights each, to a twentieth.
func TestSuperTinyArmsAreOfOneSize(t *testing.T) {
	s, err := studies.Get("supertiny", "xla-cpu")
	require.NoError(t, err)
	arms, err := s.Arms()
	require.NoError(t, err)
	require.Len(t, arms, 4)
	baseline := 0
	for i, arm := range arms {
		require.NoError(t, arm.Config.Validate())
		n := recipes.Count(arm.Config, 2048).Encoder
		if i == 0 {
			baseline = n
		}
		require.InDelta(t, 1, float64(n)/float64(baseline), 0.05, "%s: %d weights, the baseline has %d", arm.Name, n, baseline)
		t.Log(arm.Name, n)
	}
}

func ExampleGet() {
	study, err := studies.Get("quickstart", "xla-cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range study.Changes {
		fmt.Println(change.Name, change.Set)
	}
	// Output:
	// no relative position bias [positions.relative=none]
	// RTD weight 10 [objective.rtd_weight=10]
	// generator of half the width [generator.width=32 generator.heads=2 generator.ffn=64]
}
