// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/wire"
)

// server takes the requests of cells, and leaves when there were none for a while.
type server struct {
	place    wire.Place
	idle     time.Duration
	dir      string // the working directory
	listener *net.UnixListener
	socket   fs.FileInfo // of the listener's file
	requests sync.WaitGroup

	mu      sync.Mutex
	under   map[*wire.Conn]context.CancelFunc // the requests under way
	latest  time.Time                         // when the last one ended
	leaving bool
	machine string // of the engine
	engine  *training.Runner
	texts   []text     // that cells have opened, the latest at the end
	opening sync.Mutex // held while the engine is opened
}

func newServer(p wire.Place, idle time.Duration) *server {
	return &server{place: p, idle: idle, under: map[*wire.Conn]context.CancelFunc{}, latest: time.Now()}
}

// serve listens until the server has left, and the last request is done.
func (s *server) serve() error {
	var err error
	if s.dir, err = os.Getwd(); err != nil {
		return err
	}
	if s.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: s.place.Socket, Net: "unix"}); err != nil {
		return err
	}
	s.listener.SetUnlinkOnClose(false) // leave does it
	if s.socket, err = os.Stat(s.place.Socket); err != nil {
		return err
	}
	log.SetOutput(s)
	go s.heed()
	go s.watch()
	go retireFormer(s.place)
	for {
		c, err := s.listener.AcceptUnix()
		if err != nil {
			break
		}
		s.requests.Go(func() {
			defer c.Close()
			if conn, err := wire.NewConn(c); err == nil {
				s.answer(conn)
			}
		})
	}
	s.requests.Wait()
	return nil
}

// answer takes one request and does it.
func (s *server) answer(c *wire.Conn) {
	var request wire.Request
	if c.Receive(&request) != nil {
		return // somebody who looked whether anybody is here
	}
	if request.Do == wire.Retire {
		s.leave()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if request.Do == wire.Open && s.outdated() {
		s.leave()
	}
	if !s.begin(c, cancel) {
		return
	}
	defer s.end(c)
	go func() {
		var more wire.Request
		_ = c.Receive(&more) // until the cell closes its half, or is gone
		cancel()
	}()
	if c.Send(wire.Reply{}) != nil {
		return
	}
	end := s.do(ctx, &cellOf{c, cancel}, request)
	_ = c.Send(wire.Reply{End: &end}) // to a cell that is gone, there is nothing to say
}

// begin notes a request, unless the server is leaving: then the cell finds another.
func (s *server) begin(c *wire.Conn, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return false
	}
	s.under[c] = cancel
	return true
}

func (s *server) end(c *wire.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.under, c)
	s.latest = time.Now()
}

// heed saves and stops what is under way upon Ctrl-C, which view.Stop sends, and leaves upon SIGTERM as well.
func (s *server) heed() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	for received := range signals {
		if received == syscall.SIGTERM {
			s.leave()
		}
		s.mu.Lock()
		for _, cancel := range s.under {
			cancel()
		}
		s.mu.Unlock()
	}
}

// watch leaves when nobody has asked for anything for a while, and at once when the folder is gone that cells would ask from.
func (s *server) watch() {
	for range time.Tick(min(s.idle, 5*time.Second)) {
		s.mu.Lock()
		free, since := len(s.under) == 0, time.Since(s.latest)
		s.mu.Unlock()
		_, err := os.Stat(s.dir)
		if free && (since >= s.idle || err != nil || !s.reachable()) {
			s.leave()
			return
		}
	}
}

// leave takes no more requests; those under way are brought to their end. The lock keeps a cell from starting another worker
// at the same socket before this one's is gone.
func (s *server) leave() {
	_ = wire.Locked(s.place.Lock(), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.leaving {
			s.leaving = true
			if s.reachable() {
				_ = os.Remove(s.place.Socket)
			}
			_ = s.listener.Close()
		}
		return nil
	})
}

// reachable reports whether the socket's file is the listener's. Somebody may have tidied it away, and another worker may have
// come.
func (s *server) reachable() bool {
	file, err := os.Stat(s.place.Socket)
	return err == nil && os.SameFile(file, s.socket)
}

// retireFormer lets the workers of former sources go, and removes the sockets of those that were killed.
func retireFormer(p wire.Place) {
	for _, socket := range p.Former() {
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			_ = os.Remove(socket)
			continue
		}
		if conn, err := wire.NewConn(c); err == nil {
			_ = conn.Send(wire.Request{Do: wire.Retire})
		}
		c.Close()
	}
	removeOld(filepath.Dir(p.Socket))
}

// removeOld removes what workers have left in their folder but sockets, logs and locks, a week later.
func removeOld(folder string) {
	for _, pattern := range []string{"*.log", "*.lock"} {
		files, _ := filepath.Glob(filepath.Join(folder, pattern)) // the pattern is well formed
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > 7*24*time.Hour {
				_ = os.Remove(file)
			}
		}
	}
}

// Write tells every cell what the engine's packages log, as it would stand below the cell if that linked them.
func (s *server) Write(line []byte) (int, error) {
	s.mu.Lock()
	var cells []*wire.Conn
	for c := range s.under {
		cells = append(cells, c)
	}
	s.mu.Unlock()
	for _, c := range cells {
		_ = c.Send(wire.Reply{Said: string(line)})
	}
	fmt.Fprintf(os.Stderr, "%s", line)
	return len(line), nil
}
