// SPDX-License-Identifier: Apache-2.0

// Command peers measures metrolab beside the programs that do the same: JAX, Hugging Face's ELECTRA and plain PyTorch at the
// same shapes, tokenizers, zeldarose. It is what scripts/peers/run runs, which says how it is called.
//
// Each peer is a process of its own that stays for as long as it is measured, beside one of metrolab's, and both take turns:
// some steps of the one, as many of the other, time and again. So the ratio of a pair says more than its parts on a machine
// that others use too. Set-up, compilation and the first steps are over before.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/viz/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := command(ctx, os.Args[1:])
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "peers:", err)
	if usererr.Is(err) {
		os.Exit(2)
	}
	os.Exit(1)
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	names := flags.String("shapes", "", "")
	chosen := flags.String("peers", "", "")
	pairs := flags.Int("pairs", 5, "")
	out := flags.String("out", filepath.Join("runs", "peers"), "")
	worker := flags.String("work", "", "") // metrolab's own side of a comparison, over the task in the folder -task
	task := flags.String("task", "", "")
	flags.Usage = func() {}
	if err := flags.Parse(args); err != nil {
		return usererr.New("%w", err)
	}
	if *worker != "" {
		list, err := shapesNamed(*worker)
		if err != nil {
			return err
		}
		return work(list[0], *task, os.Stdin, os.Stdout)
	}
	if flags.NArg() > 0 || *pairs < 1 {
		return usererr.New("unknown argument %q, or fewer than one pair; see ./scripts/peers/run --help", flags.Arg(0))
	}
	wanted, err := shapesNamed(*names)
	if err != nil {
		return err
	}
	who, err := peersNamed(*chosen)
	if err != nil {
		return err
	}
	return measure(ctx, wanted, who, *pairs, *out)
}

// shapesNamed are the shapes of a list of names with commas between; all if it is empty.
func shapesNamed(list string) ([]shape, error) {
	return named(list, "shape", shapes, func(s shape) string { return s.name })
}

// peersNamed are the peers of a list of names with commas between; all if it is empty.
func peersNamed(list string) ([]peer, error) {
	return named(list, "peer", peers, func(p peer) string { return p.name })
}

func named[T any](list, what string, all []T, name func(T) string) (found []T, err error) {
	if list == "" {
		return all, nil
	}
	var known []string
	for _, x := range all {
		known = append(known, name(x))
	}
	for word := range strings.SplitSeq(list, ",") {
		i := slices.Index(known, word)
		if i < 0 {
			return nil, usererr.New("there is no %s %q; there are %s", what, word, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}

// measure measures the peers at the shapes, writes down each that is done, and prints the report.
func measure(ctx context.Context, wanted []shape, who []peer, pairs int, out string) error {
	cache, err := text.CacheDir()
	if err != nil {
		return err
	}
	r, err := readReport(out)
	if err != nil {
		return err
	}
	s := session{
		scripts: filepath.Join("scripts", "peers"), environments: filepath.Join(cache, "peers"), logs: filepath.Join(out, "logs"), pairs: pairs,
		said: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		done: func(c comparison) error { r.add(c); return r.write(out) },
	}
	if err := atomicfile.MkdirAll(s.logs); err != nil {
		return err
	}
	measured := false
	for _, shape := range wanted {
		able := slices.DeleteFunc(slices.Clone(who), func(p peer) bool { return !p.does(shape) })
		if len(able) == 0 {
			continue
		}
		measured = true
		if err := s.shape(ctx, shape, able); err != nil {
			return err
		}
	}
	if !measured {
		return usererr.New("none of these peers can do any of these shapes")
	}
	text, err := r.print(func(t table.Table) (string, error) { return t.Text(0) })
	fmt.Print(text)
	return err
}
