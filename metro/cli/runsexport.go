// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
)

func runsExportCommand(out *string) *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "export RUN...",
		Short: "Write the curves of runs as events files for TensorBoard",
		Long: `Writes what each run has recorded as an events file into DIR/RUN, so that tensorboard --logdir DIR shows them beside one
another. A run that is under way is written as far as it has come; the same command writes it again.`,
		Example: `  metro runs export tiny-0123456789 --format tensorboard --output events`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if format != "tensorboard" {
				return usererr.New("there is no format %q for a run's curves; there is tensorboard", format)
			}
			for _, name := range given {
				run, err := openRun(*out, name)
				if err != nil {
					return err
				}
				path, err := run.WriteTensorBoard(filepath.Join(output, run.ID))
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "exported: %s\n", path)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "tensorboard", "tensorboard")
	cmd.Flags().StringVar(&output, "output", "", "folder to write into, a folder a run")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err)
	}
	return cmd
}
