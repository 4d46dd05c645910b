// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOtherUsersAreRefused(t *testing.T) {
	require.NoError(t, checkUser(1000, 1000))
	require.ErrorContains(t, checkUser(0, 1000), "is of user 0 and not of user 1000")
}
