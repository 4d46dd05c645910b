// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version of metro this is", Args: args(cobra.NoArgs), Example: "  metro version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "metro version %s\n", version())
			return nil
		},
	}
}

// version is that of the module or, of a build from a checkout, its commit, and the Go that built it.
func version() string {
	of, commit, changed := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		of = cmp.Or(info.Main.Version, of)
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = ", commit " + setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				changed = " with changes"
			}
		}
	}
	return fmt.Sprintf("%s%s%s, %s %s/%s", of, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
