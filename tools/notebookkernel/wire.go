// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// connection is a Jupyter connection file: where a kernel's five sockets are, and the key that signs messages.
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Shell     int    `json:"shell_port"`
	Control   int    `json:"control_port"`
	Stdin     int    `json:"stdin_port"`
	IOPub     int    `json:"iopub_port"`
	Heartbeat int    `json:"hb_port"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`
}

func readConnection(file string) (c connection, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%s is no connection file: %w", file, err)
	}
	if c.Scheme != "hmac-sha256" && c.Key != "" {
		return c, fmt.Errorf("%s: cannot sign by %q", file, c.Scheme)
	}
	return c, nil
}

// within is a connection with the same key over sockets in a folder that nobody else may enter, and its file. The file has
// the name of the one outside, in which GoNB reads the kernel's identity.
func (c connection) within(folder, outside string) (connection, string, error) {
	c.Transport, c.IP = "ipc", filepath.Join(folder, "socket")
	c.Shell, c.Control, c.Stdin, c.IOPub, c.Heartbeat = 1, 2, 3, 4, 5
	text, err := json.Marshal(c)
	if err != nil {
		return c, "", err
	}
	file := filepath.Join(folder, filepath.Base(outside))
	return c, file, os.WriteFile(file, text, 0o600)
}

// address of a port.
func (c connection) address(port int) string {
	if c.Transport == "ipc" {
		return fmt.Sprintf("ipc://%s-%d", c.IP, port)
	}
	return fmt.Sprintf("%s://%s:%d", c.Transport, c.IP, port)
}

// message is a Jupyter message as it stands on the wire: whom it is for, and four JSON documents.
type message struct {
	to                                [][]byte
	header, parent, metadata, content []byte
	rest                              [][]byte // buffers
}

var delimiter = []byte("<IDS|MSG>")

// header is what this program reads of a message's header.
type header struct {
	ID      string `json:"msg_id"`
	Session string `json:"session"`
	User    string `json:"username"`
	Date    string `json:"date"`
	Type    string `json:"msg_type"`
	Version string `json:"version"`
}

// unwrap takes frames apart. The signature is left for the other end to check; what this program changes or answers, it checks.
func unwrap(frames [][]byte) (m message, err error) {
	for i, frame := range frames {
		if bytes.Equal(frame, delimiter) && len(frames) >= i+6 {
			return message{frames[:i], frames[i+2], frames[i+3], frames[i+4], frames[i+5], frames[i+6:]}, nil
		}
	}
	return m, errors.New("frames without a message")
}

// signature of a message, in hexadecimal digits.
func (m message) signature(key string) []byte {
	if key == "" {
		return nil
	}
	mac := hmac.New(sha256.New, []byte(key))
	for _, part := range [][]byte{m.header, m.parent, m.metadata, m.content} {
		mac.Write(part)
	}
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

// signed says whether frames carry the signature of their message.
func signed(frames [][]byte, key string) bool {
	m, err := unwrap(frames)
	return err == nil && (key == "" || hmac.Equal(m.signature(key), frames[len(m.to)+1]))
}

// wrap puts a message into frames and signs it.
func (m message) wrap(key string) [][]byte {
	frames := append([][]byte{}, m.to...)
	frames = append(frames, delimiter, m.signature(key), m.header, m.parent, m.metadata, m.content)
	return append(frames, m.rest...)
}

// head decodes a message's header, or that of the message that it answers.
func head(document []byte) (h header) {
	_ = json.Unmarshal(document, &h) // what cannot be read has no type, and is passed on
	return h
}

// answer is a message of a type that answers m.
func (m message) answer(kind string, content any) message {
	asked := head(m.header)
	h := header{ID: rand.Text(), Session: asked.Session, User: asked.User, Date: time.Now().UTC().Format(time.RFC3339Nano), Type: kind, Version: "5.4"}
	return message{to: m.to, header: encode(h), parent: m.header, metadata: []byte("{}"), content: encode(content)}
}

// encode is JSON of what can always be encoded.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
