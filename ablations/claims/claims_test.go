// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations/claims"
)

// What is planned is committed: a change of a claim's arms, seeds, outcome or contrast, or of the recipe beneath, is another
// plan. Whoever means it puts the hash that this test prints into the claim's file, before the first run.
func TestPlansAreAsPreregistered(t *testing.T) {
	all, err := claims.All()
	require.NoError(t, err)
	for _, claim := range all {
		variants := claim.Variants()
		for _, v := range variants {
			study, err := claim.Study(v)
			require.NoError(t, err, "%s at %s", claim.ID, v)
			hash, err := claim.Hash(study)
			require.NoError(t, err)
			if claim.Preregistered[v.String()] != hash {
				t.Errorf("%s\t  %s: %s", claim.ID, v, hash)
			}
		}
		require.LessOrEqual(t, len(claim.Preregistered), len(variants), "%s: a variant that there is not", claim.ID)
	}
}
