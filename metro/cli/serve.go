// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"metrolab/ablations/serve"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func serveCommand() *cobra.Command {
	var out string
	var port int
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Show the folder of runs as a page in the browser, live: curves, tables, verdicts, claims",
		Long: `Serves a page on this machine alone (127.0.0.1). It shows what lies in the folder of runs, and follows it: runs and
studies that other commands train, also those that began before. It loads nothing from the network, and changes nothing.
Ctrl-C ends it.`,
		Example: "  metro serve\n  metro serve --out /shared/runs --port 8123",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if found, err := os.Stat(out); err == nil && !found.IsDir() {
				return usererr.New("%s is a file; it must be the folder of the runs, or not exist yet", out)
			}
			listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				return usererr.New("cannot listen on port %d of 127.0.0.1: %w; name another with --port, or 0 for a free one", port, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", listener.Addr())
			return serveRuns(cmd.Context(), listener, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.Flags().IntVar(&port, "port", 7117, "port to listen on; 0 for a free one")
	return cmd
}

// serveRuns answers until ctx ends.
func serveRuns(ctx context.Context, listener net.Listener, out string) error {
	site := serve.Site{Root: out, Claims: func() (table.Table, error) {
		ledger, all, err := ledgerOf(out, nil)
		if err != nil {
			return table.Table{}, err
		}
		return ledger.Table(all), nil
	}}
	server := &http.Server{Handler: site.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		if err := server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return training.ErrInterrupted
	}
}
