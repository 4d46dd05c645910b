// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLaTeX(t *testing.T) {
	text, err := Table{
		Columns: []Column{{"arm_name", Left, ""}, {"diff", Right, "%+.2f"}},
		Rows:    [][]any{{`50 % & "{x}" \ <1`, -0.256}, {"no CLM", nil}},
	}.LaTeX()
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
\begin{tabular}{lr}
\toprule
arm\_name & diff \\
\midrule
50 \% \& "\{x\}" \textbackslash{} \textless{}1 & -0.26 \\
no CLM & -- \\
\bottomrule
\end{tabular}
`, "\n"), text)
}
