// SPDX-License-Identifier: Apache-2.0

package donation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/donation"
)

func TestEachGraphIsSaidOnce(t *testing.T) {
	a, b := donation.Name(), donation.Name()
	require.NotEqual(t, a, b)
	donation.Set(a, []string{"/w"})
	require.Equal(t, []string{"/w"}, donation.Take(a))
	require.Nil(t, donation.Take(a))
	require.Nil(t, donation.Take(b))
}
