// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// A tidier makes what goes wrong in a cell readable: a compile error is a line that names the cell and the line in it, a
// variable of an earlier cell says what to do, no path of a temporary file is shown, and "exit status 1" stands there once.
type tidier struct {
	memory *memory

	mu    sync.Mutex
	cells map[string]*cell // by the request's ID
}

// cell is one that is being run.
type cell struct {
	code            string
	count           int
	held            *message // an exit status, until it is known whether the error says the same
	replied, idling bool     // what tells of the end comes on two sockets, in any order
}

func newTidier(m *memory) *tidier { return &tidier{memory: m, cells: map[string]*cell{}} }

// failure is the content of an error, and the part of an execute_reply that tells of one.
type failure struct {
	Status string   `json:"status,omitempty"`
	Name   string   `json:"ename"`
	Value  string   `json:"evalue"`
	Trace  []string `json:"traceback"`
	Count  int      `json:"execution_count,omitempty"`
}

var (
	exitStatus = regexp.MustCompile(`^(exit status \d+|signal: [\w ()]+)$`)
	temporary  = regexp.MustCompile(`(?:\S*/)?gonb_[0-9a-f]{8}/?(?:main(?:_test)?\.go(?::\d+)*:? ?)?`)
	ansi       = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	place      = regexp.MustCompile(`^Cell(?:\[(\d+)\]:)? Line (\d+)\n`)
	statement  = regexp.MustCompile(`^(expected declaration, found|non-declaration statement outside function body)`)
	missing    = regexp.MustCompile(`^module \S+ found \(.*\), but does not contain package (\S+)$`)
	undefined  = regexp.MustCompile(`^undefined: (\w+)$`)
)

// asked notes a cell that is to be run.
func (t *tidier) asked(id string, content []byte) {
	var request struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(content, &request)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[id] = &cell{code: request.Code}
}

// over forgets a cell of which nothing more will come.
func (t *tidier) over(id string, c *cell) {
	if c.replied && c.idling {
		delete(t.cells, id)
	}
}

// reply ends a cell: what it has declared is remembered if it was compiled. It returns the reply as it is to be shown.
func (t *tidier) reply(id string, content []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.cells[id]
	if c == nil {
		return content
	}
	c.replied = true
	t.over(id, c)
	var f failure
	if json.Unmarshal(content, &f) != nil {
		return content
	}
	if f.Status == "ok" || exitStatus.MatchString(f.Value) {
		t.memory.learn(c.code, f.Count)
		return content
	}
	c.count = f.Count
	return encode(t.tidied(c, f))
}

// published returns what is to be shown of a message that GoNB publishes, and when.
func (t *tidier) published(m message) []message {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := head(m.parent).ID
	c := t.cells[id]
	if c == nil {
		return []message{m}
	}
	held := c.held
	c.held = nil
	switch head(m.header).Type {
	case "status":
		if state(m.content) == "idle" {
			c.idling = true
			t.over(id, c)
		}
	case "execute_input":
		var input struct {
			Count int `json:"execution_count"`
		}
		_ = json.Unmarshal(m.content, &input)
		c.count = input.Count
	case "stream":
		var s struct {
			Name string `json:"name"`
			Text string `json:"text"`
		}
		if json.Unmarshal(m.content, &s) != nil {
			break
		}
		if s.Name == "stderr" && exitStatus.MatchString(strings.TrimSpace(s.Text)) {
			c.held = &m
			return shown(held)
		}
		if text := temporary.ReplaceAllString(s.Text, ""); s.Name == "stderr" && text != s.Text {
			s.Text = text
			m.content = encode(s)
		}
	case "error":
		var f failure
		if json.Unmarshal(m.content, &f) != nil {
			break
		}
		if exitStatus.MatchString(f.Value) {
			held = nil // said once
			break
		}
		m.content = encode(t.tidied(c, f))
	}
	return append(shown(held), m)
}

func shown(held *message) []message {
	if held == nil {
		return nil
	}
	return []message{*held}
}

// tidied is an error in lines that a reader can use.
func (t *tidier) tidied(c *cell, f failure) failure {
	var lines []string
	for _, entry := range f.Trace {
		entry = ansi.ReplaceAllString(entry, "")
		where, cut := "", place.FindStringSubmatch(entry)
		if cut != nil {
			where = fmt.Sprintf("line %s: ", cut[2])
			if cut[1] != "" && cut[1] != fmt.Sprint(c.count) {
				where = fmt.Sprintf("cell [%s], line %s: ", cut[1], cut[2])
			}
		}
		for i, says := range messages(entry) {
			switch {
			case says == "", strings.HasPrefix(says, "# "), exitStatus.MatchString(says):
			case strings.HasPrefix(says, "\t") && len(lines) > 0:
				last := &lines[len(lines)-1]
				if !strings.HasSuffix(*last, ":") {
					*last += ";"
				}
				*last += " " + strings.TrimSpace(says)
			case i == 0:
				lines = append(lines, where+t.explained(says))
			default:
				lines = append(lines, t.explained(says))
			}
		}
	}
	if len(lines) == 0 {
		return f
	}
	f.Value, f.Trace = strings.Join(lines, "\n"), lines
	return f
}

// messages are the lines of a traceback's entry without the code around the place, which GoNB puts before the last.
func messages(entry string) []string {
	if place.MatchString(entry) {
		return []string{lastLine(strings.TrimSuffix(entry, "\n"))}
	}
	return strings.Split(entry, "\n")
}

// explained is a compiler's message without paths, and with what to do about the mistakes that a notebook invites: a variable
// of an earlier cell, a statement that stands above the %%.
func (t *tidier) explained(says string) string {
	says = missing.ReplaceAllString(temporary.ReplaceAllString(says, ""), "this checkout has no package $1")
	if statement.MatchString(says) {
		return says + "; statements stand below a line %%, declarations above it"
	}
	name := undefined.FindStringSubmatch(says)
	if name == nil {
		return says
	}
	count, found := t.memory.local(name[1])
	if !found {
		return says
	}
	return fmt.Sprintf("%s; cell [%d] has it below its %%%%, and what is there ends with the cell: declare it above the %%%% "+
		"(var %s = …, or a function that returns it), or make it again here", says, count, name[1])
}
