// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/metro/text"
	"metrolab/viz/table"
)

func dataCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "data",
		Short:   "Prepare, look at and carry text",
		Example: "  metro data show\n  metro data show ~/books\n  metro data export godoc.tar.gz",
	})
	cmd.AddCommand(dataShowCommand(), dataExportCommand())
	return cmd
}

func dataShowCommand() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "show [CORPUS]", Short: "Prepare a corpus and show what is in it", Args: args(cobra.MaximumNArgs(1)),
		Example: "  metro data show\n  metro data show notes.txt --documents 5",
		RunE: func(cmd *cobra.Command, given []string) error {
			corpus, err := prepareCorpus(cmd.Context(), first(given))
			if err != nil {
				return err
			}
			t := table.Table{Columns: []table.Column{
				{Name: "split"}, {Name: "paragraphs", Align: table.Right}, {Name: "words", Align: table.Right}, {Name: "size", Align: table.Right},
			}}
			for _, split := range []text.Split{text.Train, text.Validation, text.Test} {
				s := corpus.Stats.Splits[split]
				t.Rows = append(t.Rows, []any{string(split), humanize.Comma(s.Documents), humanize.Comma(s.Words), float64(s.Bytes) / 1e6})
			}
			out, s := cmd.OutOrStdout(), corpus.Stats
			fmt.Fprintf(out, "%s\n", corpus.Source)
			printTable(out, t)
			fmt.Fprintf(out, "%s files read; left out: %s duplicates, %s licence paragraphs, %s of fewer than 8 words; %s bytes that were not UTF-8 replaced\nhash %s\nin %s\n",
				humanize.Comma(s.Files), humanize.Comma(s.Duplicates), humanize.Comma(s.LicenseHeaders), humanize.Comma(s.Short), humanize.Comma(s.InvalidBytes), corpus.Hash, corpus.Dir)
			return printDocuments(cmd, corpus, n)
		},
	}
	cmd.Flags().IntVar(&n, "documents", 3, "paragraphs to print")
	return cmd
}

func printDocuments(cmd *cobra.Command, corpus *text.Corpus, n int) error {
	for d, err := range corpus.Documents(text.Validation) {
		if err != nil {
			return err
		}
		if n--; n < 0 {
			break
		}
		fmt.Fprintf(cmd.OutOrStdout(), "\n[%s] %s\n", d.Label, d.Text)
	}
	return nil
}

func dataExportCommand() *cobra.Command {
	var corpusSpec string
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write a prepared corpus to one file, for machines without its source", Args: args(cobra.ExactArgs(1)),
		Long:    "Writes a .tar.gz (or a folder, if FILE has another end) that --corpus takes on any machine, Go installed or not.",
		Example: "  metro data export godoc.tar.gz\n  metro pretrain --corpus godoc.tar.gz",
		RunE: func(cmd *cobra.Command, given []string) error {
			corpus, err := prepareCorpus(cmd.Context(), corpusSpec)
			if err != nil {
				return err
			}
			if err := corpus.Export(given[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; use it with --corpus %s\n", given[0], given[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&corpusSpec, "corpus", text.Default, "what to export")
	return cmd
}

func first(given []string) string {
	if len(given) == 0 {
		return text.Default
	}
	return given[0]
}
