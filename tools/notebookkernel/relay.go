// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// relaying passes the messages between Jupyter, outside, and GoNB, inside.
type relaying struct {
	key         string
	front, back map[string]zmq4.Socket // "shell", "control", "stdin"
	publish     zmq4.Socket
	sending     sync.Mutex
	assistant   *assistant
	tidy        *tidier

	mu      sync.Mutex
	running *message // the request whose cell runs
}

// relay runs until a socket fails, which those of GoNB do when it ends.
func relay(outside, inside connection, a *assistant) error {
	ctx := context.Background()
	r := &relaying{key: outside.Key, front: map[string]zmq4.Socket{}, back: map[string]zmq4.Socket{}, assistant: a, tidy: newTidier(a.memory)}
	failed := make(chan error, 8)

	// GoNB answers on shell what was asked on control, and asks on stdin whom it was asked by on shell: one name for all three.
	me := zmq4.SocketIdentity("notebookkernel")
	patience := []zmq4.Option{zmq4.WithID(me), zmq4.WithDialerRetry(50 * time.Millisecond), zmq4.WithDialerMaxRetries(1200)}
	ports := map[string][2]int{"shell": {outside.Shell, inside.Shell}, "control": {outside.Control, inside.Control}, "stdin": {outside.Stdin, inside.Stdin}}
	for name, port := range ports {
		r.back[name] = zmq4.NewDealer(ctx, patience...)
		if err := r.back[name].Dial(inside.address(port[1])); err != nil {
			return fmt.Errorf("reach GoNB: %w", err)
		}
	}
	news := zmq4.NewSub(ctx, patience...)
	if err := news.Dial(inside.address(inside.IOPub)); err != nil {
		return fmt.Errorf("reach GoNB: %w", err)
	}
	if err := news.SetOption(zmq4.OptionSubscribe, ""); err != nil {
		return err
	}
	if err := r.introduce(news); err != nil {
		return err
	}

	r.publish = zmq4.NewPub(ctx)
	if err := r.publish.Listen(outside.address(outside.IOPub)); err != nil {
		return err
	}
	beat := zmq4.NewRep(ctx)
	if err := beat.Listen(outside.address(outside.Heartbeat)); err != nil {
		return err
	}
	for name, port := range ports {
		r.front[name] = zmq4.NewRouter(ctx)
		if err := r.front[name].Listen(outside.address(port[0])); err != nil {
			return err
		}
	}
	go func() {
		failed <- each(beat, func(frames [][]byte) error { return beat.SendMulti(zmq4.NewMsgFrom(frames...)) })
	}()
	go func() { failed <- each(news, r.toScreen) }()
	for name := range ports {
		go func() { failed <- each(r.front[name], func(frames [][]byte) error { return r.toGoNB(name, frames) }) }()
		go func() { failed <- each(r.back[name], func(frames [][]byte) error { return r.toJupyter(name, frames) }) }()
	}
	return <-failed
}

// introduce asks GoNB who it is until the news of that arrive: a subscription takes a while, and what is published before is
// lost.
func (r *relaying) introduce(news zmq4.Socket) error {
	heard := make(chan error, 1)
	go func() {
		_, err := news.Recv()
		heard <- err
	}()
	for {
		hello := message{to: [][]byte{[]byte("hello")}, header: encode(header{ID: "hello", Type: "kernel_info_request", Version: "5.4"}),
			parent: []byte("{}"), metadata: []byte("{}"), content: []byte("{}")}
		if err := r.back["shell"].SendMulti(zmq4.NewMsgFrom(hello.wrap(r.key)...)); err != nil {
			return err
		}
		select {
		case err := <-heard:
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// each calls do with every message that a socket receives.
func each(s zmq4.Socket, do func(frames [][]byte) error) error {
	for {
		got, err := s.Recv()
		if err != nil {
			return err
		}
		if err := do(got.Frames); err != nil {
			return err
		}
	}
}

// send sends a message in frames.
func (r *relaying) send(s zmq4.Socket, frames [][]byte) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	return s.SendMulti(zmq4.NewMsgFrom(frames...))
}

// toGoNB passes on what Jupyter asks, but what the assistant can answer.
func (r *relaying) toGoNB(socket string, frames [][]byte) error {
	m, err := unwrap(frames)
	if err != nil || !signed(frames, r.key) {
		return nil // nobody who holds the key has sent it
	}
	switch h := head(m.header); h.Type {
	case "execute_request":
		r.tidy.asked(h.ID, m.content)
	case "complete_request", "inspect_request":
		if ask := r.assistant.question(h.Type, m.content); ask != nil {
			go r.answer(m, ask)
			return nil
		}
	}
	return r.send(r.back[socket], frames)
}

// toJupyter passes on what GoNB answers.
func (r *relaying) toJupyter(socket string, frames [][]byte) error {
	m, err := unwrap(frames)
	if err != nil || len(m.to) == 0 || string(m.to[0]) == "hello" {
		return nil
	}
	switch h := head(m.header); h.Type {
	case "execute_reply":
		m.content = r.tidy.reply(head(m.parent).ID, m.content)
		frames = m.wrap(r.key)
	case "interrupt_reply", "shutdown_reply":
		socket = "control"
	}
	return r.send(r.front[socket], frames)
}

// toScreen passes on what GoNB publishes.
func (r *relaying) toScreen(frames [][]byte) error {
	m, err := unwrap(frames)
	if err != nil || head(m.parent).ID == "hello" {
		return nil
	}
	r.note(m)
	for _, shown := range r.tidy.published(m) {
		if err := r.send(r.publish, shown.wrap(r.key)); err != nil {
			return err
		}
	}
	return nil
}

// note keeps the request whose cell runs.
func (r *relaying) note(m message) {
	if head(m.header).Type != "status" || head(m.parent).Type != "execute_request" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running = nil; state(m.content) == "busy" {
		r.running = &message{to: m.to, header: m.parent}
	}
}

func state(content []byte) string {
	var status struct {
		State string `json:"execution_state"`
	}
	_ = json.Unmarshal(content, &status)
	return status.State
}

// answer answers a request itself, also while a cell runs. For Jupyter a request is done when the kernel has said that it is
// idle again, which is true of the request; what runs on is told again.
func (r *relaying) answer(m message, ask func() (kind string, content any)) {
	tell := func(about message, state string) {
		note := about.answer("status", map[string]string{"execution_state": state})
		note.to = [][]byte{[]byte("status")}
		_ = r.send(r.publish, note.wrap(r.key))
	}
	tell(m, "busy")
	kind, content := ask()
	_ = r.send(r.front["shell"], m.answer(kind, content).wrap(r.key))
	tell(m, "idle")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		tell(*r.running, "busy")
	}
}
