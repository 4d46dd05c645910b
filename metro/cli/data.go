// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/metro/text"
	"metrolab/viz/table"
)

func dataCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "data",
		Short:   "Fetch, prepare, look at and carry text",
		Example: "  metro data show\n  metro data show ~/books\n  metro data export godoc.tar.gz",
	})
	cmd.AddCommand(dataShowCommand(), dataExportCommand(), dataGetCommand())
	return cmd
}

// similar is the similarity from which paragraphs are called near-duplicates; see [text.Similarity].
const similar = 0.5

func dataShowCommand() *cobra.Command {
	var n int
	var reading textFlags
	cmd := &cobra.Command{
		Use: "show [CORPUS]", Short: "Prepare a corpus and show what is in it", Args: args(cobra.MaximumNArgs(1)),
		Example: "  metro data show\n  metro data show notes.txt --documents 5\n  metro data show pages.jsonl --field text\n  metro data show src --files go,py",
		RunE: func(cmd *cobra.Command, given []string) error {
			corpus, err := prepareCorpus(cmd.Context(), first(given), reading)
			if err != nil {
				return err
			}
			printCorpus(cmd.OutOrStdout(), corpus)
			if err := printNeighbours(cmd, corpus); err != nil {
				return err
			}
			return printDocuments(cmd, corpus, n)
		},
	}
	cmd.Flags().IntVar(&n, "documents", 3, "paragraphs to print")
	reading.add(cmd)
	return cmd
}

func printCorpus(out io.Writer, corpus *text.Corpus) {
	t := table.Table{Columns: []table.Column{
		{Name: "split"}, {Name: "paragraphs", Align: table.Right}, {Name: "words", Align: table.Right}, {Name: "size", Align: table.Right},
	}}
	for _, split := range text.Splits {
		s := corpus.Stats.Splits[split]
		t.Rows = append(t.Rows, []any{string(split), humanize.Comma(s.Documents), humanize.Comma(s.Words), size(s.Bytes)})
	}
	s := corpus.Stats
	fmt.Fprintf(out, "%s\n", corpus.Source)
	printTable(out, t)
	fmt.Fprintf(out, "%s files read; left out: %s duplicates, %s licence paragraphs, %s of fewer than 8 words; %s bytes that were not UTF-8 replaced\n",
		humanize.Comma(s.Files), humanize.Comma(s.Duplicates), humanize.Comma(s.LicenseHeaders), humanize.Comma(s.Short), humanize.Comma(s.InvalidBytes))
	for _, note := range corpus.Notes {
		fmt.Fprintln(out, note)
	}
	fmt.Fprintf(out, "hash %s\nin %s\n", corpus.Hash, corpus.Dir)
}

// printNeighbours says how much of the held-out text has nearly been trained on.
func printNeighbours(cmd *cobra.Command, corpus *text.Corpus) error {
	bar := newBar("comparing splits")
	defer bar.finish()
	n, err := corpus.Neighbours(cmd.Context(), similar, bar.set)
	if err != nil {
		return err
	}
	bar.finish()
	share := func(split text.Split) string {
		return fmt.Sprintf("%.1f %% of %s %s paragraphs", 100*float64(n.Found[split])/float64(max(n.Compared[split], 1)), humanize.Comma(n.Compared[split]), split)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "near-duplicates: %s and %s have one in the training split (Jaccard index of 5-word shingles ≥ %g); --set data.near_duplicates=%g trains without those\n",
		share(text.Validation), share(text.Test), similar, similar)
	return nil
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
	var reading textFlags
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write a prepared corpus to one file, for machines without its source", Args: args(cobra.ExactArgs(1)),
		Long:    "Writes a .tar.gz (or a folder, if FILE has another end) that --corpus takes on any machine, Go installed or not.",
		Example: "  metro data export godoc.tar.gz\n  metro pretrain --corpus godoc.tar.gz",
		RunE: func(cmd *cobra.Command, given []string) error {
			corpus, err := prepareCorpus(cmd.Context(), corpusSpec, reading)
			if err != nil {
				return err
			}
			if err := corpus.Export(given[0]); err != nil {
				return err
			}
			for _, note := range corpus.Notes {
				fmt.Fprintln(stderr, note)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; use it with --corpus %s\n", given[0], given[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&corpusSpec, "corpus", text.Default, "what to export")
	reading.add(cmd)
	return cmd
}

func first(given []string) string {
	if len(given) == 0 {
		return text.Default
	}
	return given[0]
}
