// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"metrolab/metro/training"
)

func exportCommand() *cobra.Command {
	var model, out string
	var half bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a pretrained model as Hugging Face folders",
		Long: `Writes DIR/discriminator and DIR/generator, each with config.json, model.safetensors and the tokenizer's files. A model
of ELECTRA's shape (learned absolute positions, no relative bias, post-LN, a projected RTD head, a normalised generator head)
loads in transformers as ElectraForPreTraining and ElectraForMaskedLM. Whatever has more than that is written under the
model_type "metro", which transformers does not know, and the command says why. The folder can be read back: metro predict,
finetune and pretrain --init-from take it. Matrices that metro compress has stored as factors are written whole.

--half rounds each weight to 16 bits: the files are half as large, and what the model says moves by about a thousandth.`,
		Example: `  metro export --model runs/electra-small-0123456789 --out my-electra
  metro export --model runs/mini-0123456789 --half --out small-file`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := newFolder(out); err != nil {
				return err
			}
			p, err := during("reading the model", func() (training.Pretrained, error) { return training.LoadPretrained(model) })
			if err != nil {
				return err
			}
			export := p.Export
			if half {
				export = p.ExportHalf
			}
			notes, err := export(out)
			if err != nil {
				return err
			}
			for _, note := range notes {
				fmt.Fprintln(cmd.OutOrStdout(), note)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "exported: %s\n", out)
			return nil
		},
	}
	addModelFlag(cmd, &model)
	cmd.Flags().StringVar(&out, "out", "", "folder to write; it must not be there yet")
	cmd.Flags().BoolVar(&half, "half", false, "write the weights in half precision (16 bits)")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	return cmd
}
