// SPDX-License-Identifier: Apache-2.0

// Command notebookkernel is the kernel of this checkout's notebooks: GoNB, with what it lacks.
//
// GoNB compiles and runs the cells. This program stands between it and Jupyter, passes their messages on, and
//
//   - answers the Tab key and the questions about a name itself, from a gopls that it has made ready when the kernel started:
//     GoNB asks gopls anew for the dependencies of every cell, which takes longer than JupyterLab waits (relay.go, assist.go);
//   - makes a compile error one line, with the cell and the line in it and without the paths of temporary files (errors.go);
//   - takes GoNB, gopls and the cell's program with it when it is killed (child.go).
//
// Usage: notebookkernel CONNECTION_FILE. It finds gonb, and gopls if it is to answer the Tab key, on the PATH.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: notebookkernel CONNECTION_FILE")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "notebookkernel:", err)
		os.Exit(1)
	}
}

// serve runs the kernel until GoNB ends.
func serve(connectionFile string) error {
	outside, err := readConnection(connectionFile)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "metrolab-kernel-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	inside, insideFile, err := outside.within(folder, connectionFile)
	if err != nil {
		return err
	}
	gonb, err := startGoNB(insideFile, folder)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = gonb.Process.Signal(s)
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- gonb.wait() }()

	relayed := make(chan error, 1)
	go func() {
		relayed <- relay(outside, inside, newAssistant(folder, os.Getenv("METROLAB_ROOT"), gonb.Process.Pid))
	}()
	select {
	case err = <-ended:
		return err
	case err = <-relayed: // as GoNB ends, or because it hangs
	}
	select {
	case err = <-ended:
	case <-time.After(15 * time.Second):
		_ = gonb.Process.Kill()
		<-ended
	}
	return err
}
