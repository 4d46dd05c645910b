// SPDX-License-Identifier: Apache-2.0

// Package wire is what a cell and its worker say to each other, and where they meet: a socket in a folder that only its
// owner can open, named by the sources of the program, the working directory and the environment. So a worker is what the
// cell itself would be if it linked the engine, and a change to any of these is another worker.
package wire

import (
	"encoding/gob"
	"encoding/json"
	"net"
	"sync"
	"time"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/training"
)

// What a cell asks for.
const (
	Open   = "open"   // is there an engine, and a text?
	Train  = "train"  // Name, Config
	Start  = "start"  // Name, Config; in the background
	Study  = "study"  // Study
	Retire = "retire" // take no more requests, and leave when those under way are done
)

// Request is what a cell asks for; it is the first thing on a connection. Closing the cell's half of the connection, which
// its end does, stops what was asked for, as an interrupt does.
type Request struct {
	Do     string
	Text   string // of the [Open] before, whose text is meant; one that the worker does not know is opened anew
	Name   string
	Config document
	Study  document
	Parts  map[string]int // [metro.Config.Components] as the cell has them, of all configs
}

// document is JSON of a value that gob does not take.
type document []byte

// Reply is what the worker answers, in so many replies. The first is empty: the request is taken. The last has an End.
type Reply struct {
	Said     string // a line for people
	Text     string // that was opened
	Run      string // the run's folder
	Progress *training.Progress
	Event    *ablations.Event
	End      *End
}

// End is how a request ended.
type End struct {
	Diverged    string // see [training.Result]
	Error       string
	User        bool // the error is the user's
	Interrupted bool
	Panic       string // with the stack of the worker's goroutine
}

// TrainRequest is a request to do something with a config: [Train] or [Start].
func TrainRequest(do, name string, c metro.Config) (Request, error) {
	text, err := json.Marshal(c)
	return Request{Do: do, Name: name, Config: text, Parts: c.Components()}, err
}

// StudyRequest is a request to train a study.
func StudyRequest(s ablations.Study) (Request, error) {
	arms, err := s.Arms()
	if err != nil {
		return Request{}, err
	}
	parts := map[string]int{}
	for _, arm := range arms {
		for name, version := range arm.Config.Components() {
			parts[name] = version
		}
	}
	text, err := json.Marshal(s)
	return Request{Do: Study, Study: text, Parts: parts}, err
}

// Decode decodes a document of a request.
func (d document) Decode(v any) error { return json.Unmarshal(d, v) }

// Conn is a connection between a cell and a worker.
type Conn struct {
	*net.UnixConn
	dec *gob.Decoder
	mu  sync.Mutex // of enc
	enc *gob.Encoder
}

// NewConn speaks on a connection to another process of the same user; of others it is an error.
func NewConn(c *net.UnixConn) (*Conn, error) {
	if err := checkPeer(c); err != nil {
		return nil, err
	}
	return &Conn{UnixConn: c, dec: gob.NewDecoder(c), enc: gob.NewEncoder(c)}, nil
}

// patience is how long a process may leave what is said to it unread before it counts as gone.
const patience = 20 * time.Second

// Send sends a [Request] or a [Reply]. It may be called from several goroutines.
func (c *Conn) Send(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return c.enc.Encode(v)
}

// Receive waits for a [Request] or a [Reply].
func (c *Conn) Receive(v any) error { return c.dec.Decode(v) }
