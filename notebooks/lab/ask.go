// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/wire"
)

// ask has the worker do something, and hears of it until it is done. A panic of the worker is one of the cell. When ctx ends,
// the worker is told to stop, and asked no more than how that went.
func (l *Lab) ask(ctx context.Context, request wire.Request, hear func(wire.Reply)) (wire.End, error) {
	request.Text = l.text
	c, err := l.reach(ctx, request)
	if err != nil {
		return wire.End{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.CloseWrite() })()
	for {
		var r wire.Reply
		if err := c.Receive(&r); err != nil {
			return wire.End{}, l.lost(err)
		}
		switch {
		case r.End != nil:
			return *r.End, failure(*r.End)
		case r.Said != "":
			fmt.Fprintln(os.Stderr, strings.TrimSuffix(r.Said, "\n"))
		default:
			hear(r)
		}
	}
}

// failure is the error that a request ended with.
func failure(end wire.End) error {
	switch {
	case end.Panic != "":
		panic(end.Panic)
	case end.Interrupted:
		return training.ErrInterrupted
	case end.Error == "":
		return nil
	case end.User:
		return usererr.New("%s", end.Error)
	default:
		return errors.New(end.Error)
	}
}

// lost says how a worker ended that has not answered.
func (l *Lab) lost(err error) error {
	return usererr.New("the lab's worker has ended in the middle of it (%w); what it trained goes on from the last checkpoint when the cell is run again%s",
		err, lastOf(l.place.Log()))
}

// lastOf is the end of a worker's log, for the end of a sentence.
func lastOf(log string) string {
	const most = 1000
	text, _ := os.ReadFile(log)
	words := strings.TrimSpace(string(text[max(0, len(text)-most):]))
	if words == "" {
		return ""
	}
	return "; " + log + " ends with: " + words
}

// reach returns a connection over which the worker has taken the request. One that is not there, or about to leave, gives way
// to another.
func (l *Lab) reach(ctx context.Context, request wire.Request) (*wire.Conn, error) {
	const tries = 5
	var err error
	for range tries {
		var c *wire.Conn
		if c, err = take(l.place.Socket, request); err == nil {
			return c, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, training.ErrInterrupted
		}
		if err := wire.Locked(l.place.Lock(), func() error {
			if there(l.place.Socket) { // another cell was quicker
				return nil
			}
			return start(ctx, l.place)
		}); err != nil {
			return nil, err
		}
	}
	return nil, usererr.New("the lab's worker does not answer at %s: %w%s", l.place.Socket, err, lastOf(l.place.Log()))
}

func dial(socket string) (*wire.Conn, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	conn, err := wire.NewConn(c)
	if err != nil {
		c.Close()
	}
	return conn, err
}

// take sends a request and waits until it is taken.
func take(socket string, request wire.Request) (*wire.Conn, error) {
	c, err := dial(socket)
	if err != nil {
		return nil, err
	}
	err = c.Send(request)
	if err == nil {
		var taken wire.Reply
		err = c.Receive(&taken)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// there reports whether somebody listens at a socket.
func there(socket string) bool {
	c, err := dial(socket)
	if err == nil {
		c.Close()
	}
	return err == nil
}
