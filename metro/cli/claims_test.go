// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations/claims"
	"metrolab/internal/usererr"
)

func TestClaims(t *testing.T) {
	l := newLab(t)
	out, said, code := l.inProcess(t.Context(), "claims")
	require.Zero(t, code, said)
	for _, id := range claimIDs(nil, nil, "") {
		require.Contains(t, out, id)
	}
	out, said, code = l.inProcess(t.Context(), "claims", "show", "c4b")
	require.Zero(t, code, said)
	require.Contains(t, out, "all shared − baseline")
	require.Contains(t, out, "tiny twice")

	out, said, code = l.inProcess(t.Context(), "claims", "record", "--page", "docs/page.md")
	require.Zero(t, code, said)
	require.Contains(t, out, "0 entries")
	require.Contains(t, l.read("docs/page.md"), "# Published claims")
	ledger, err := claims.ReadLedger(filepath.Join(l.dir, "claims.json"))
	require.NoError(t, err)
	require.Empty(t, ledger)

	_, said, code = l.inProcess(t.Context(), "claims", "nothing")
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "has no command")
}

// All claims are asked at the recipe's own rate before any is at another, and the cheapest first.
func TestClaimsAreAskedCheapestFirst(t *testing.T) {
	list, err := asked(nil, true, claims.Variant{Recipe: "tiny"}, false)
	require.NoError(t, err)
	require.Greater(t, len(list), 40)
	for i, q := range list[1:] {
		if q.variant == list[i].variant {
			require.GreaterOrEqual(t, q.flops, list[i].flops, q.claim.ID)
		}
	}
	require.Equal(t, claims.Variant{Recipe: "tiny"}, list[0].variant)
	require.Equal(t, claims.Variant{Recipe: "tiny", Rate: "twice"}, list[len(list)-1].variant)

	list, err = asked(nil, true, claims.Variant{Recipe: "mini"}, true)
	require.NoError(t, err)
	require.Len(t, list, len(claimIDs(nil, nil, "")))
	list, err = asked([]string{"C4", "C1"}, false, claims.Variant{Recipe: "tiny"}, false)
	require.NoError(t, err)
	require.Equal(t, "C4", list[0].claim.ID, "in the order that was asked for")
	for says, v := range map[string]claims.Variant{"tiny and mini": {Recipe: "large"}, "half and twice": {Recipe: "tiny", Rate: "third"}} {
		_, err := asked([]string{"C4"}, false, v, true)
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, says)
	}
	_, err = asked(nil, false, claims.Variant{Recipe: "tiny"}, false)
	require.True(t, usererr.Is(err) && strings.Contains(err.Error(), "--all"))
}

// A claim whose arms read a frozen generator trains that first, then its study, and says how it stands; again, all is found.
func TestAClaimIsRun(t *testing.T) {
	l := newLab(t)
	l.inProcess(t.Context(), "version") // in l's folder
	claim, err := claims.Find("C7")
	require.NoError(t, err)
	cmd := claimsRunCommand()
	cmd.SetContext(t.Context())
	for range 2 {
		var out bytes.Buffer
		cmd.SetOut(&out)
		w, share := workspaceFlags{corpus: "text.txt", backend: "go", out: "runs"}, shareFlags{lease: time.Minute}
		require.NoError(t, runClaims(cmd, w, share, []claimQuestion{{claim, claims.Variant{Recipe: "micro"}, 0}}))
		require.Contains(t, out.String(), "C7 at micro: no verdict: another plan than the one that is committed")
		runs, err := filepath.Glob("runs/micro-*")
		require.NoError(t, err)
		require.Len(t, runs, 3, "the generator's run, and one an arm")
		require.FileExists(t, "runs/claim-C7-micro/report.html")
	}
}
