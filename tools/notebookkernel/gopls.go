// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// gopls is a language server that this program has started. It reads from a pipe whose other end only this program holds,
// and so ends with it, when it has done what it does; being in GoNB's process group it ends at once.
type gopls struct {
	to      io.Writer
	writing sync.Mutex

	mu      sync.Mutex
	asked   int
	waiting map[int]chan reply
	version int
}

type reply struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// goplsSettings leave out what a cell has no use for: looking for mistakes, and offering what lies within the packages that
// are imported in case a cell wants them.
var goplsSettings = map[string]any{
	"buildFlags": []string{"-tags=noxla"}, "diagnosticsTrigger": "Save", "staticcheck": false, "vulncheck": "Off",
	"completionBudget": "300ms", "usePlaceholders": false, "deepCompletion": false,
}

// startGopls starts a server for the module in a folder, in a process group.
func startGopls(ctx context.Context, folder string, environment []string, group int) (*gopls, error) {
	program, err := exec.LookPath("gopls")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "serve")
	cmd.Dir, cmd.Env = folder, environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &gopls{to: to, waiting: map[int]chan reply{}}
	go func() {
		g.fail(g.read(from))
		_ = cmd.Wait()
	}()
	err = g.ask(ctx, "initialize", map[string]any{
		"processId": os.Getpid(), "rootUri": uri(folder),
		"workspaceFolders":      []any{map[string]string{"uri": uri(folder), "name": "cell"}},
		"initializationOptions": goplsSettings,
		"capabilities": map[string]any{"textDocument": map[string]any{
			"hover": map[string]any{"contentFormat": []string{"markdown"}},
		}},
	}, nil)
	if err == nil {
		err = g.tell("initialized", struct{}{})
	}
	return g, err
}

func uri(path string) string { return "file://" + path }

// write sends one message.
func (g *gopls) write(message map[string]any) error {
	message["jsonrpc"] = "2.0"
	text := encode(message)
	g.writing.Lock()
	defer g.writing.Unlock()
	_, err := fmt.Fprintf(g.to, "Content-Length: %d\r\n\r\n%s", len(text), text)
	return err
}

// tell sends what has no answer.
func (g *gopls) tell(method string, params any) error {
	return g.write(map[string]any{"method": method, "params": params})
}

// ask sends a question and decodes the answer into result, if that is not nil.
func (g *gopls) ask(ctx context.Context, method string, params, result any) error {
	answer := make(chan reply, 1)
	g.mu.Lock()
	if g.waiting == nil {
		g.mu.Unlock()
		return errors.New("gopls has ended")
	}
	g.asked++
	id := g.asked
	g.waiting[id] = answer
	g.mu.Unlock()
	if err := g.write(map[string]any{"id": id, "method": method, "params": params}); err != nil {
		return err
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return errors.New(r.Error.Message)
		}
		if result == nil || len(r.Result) == 0 {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads what the server sends, until it ends. What the server asks is answered by "nothing".
func (g *gopls) read(from io.Reader) error {
	in := bufio.NewReader(from)
	for {
		fields, err := textproto.NewReader(in).ReadMIMEHeader()
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(fields.Get("Content-Length"))
		if err != nil {
			return err
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(in, text); err != nil {
			return err
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			reply
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		switch {
		case m.Method != "" && len(m.ID) > 0:
			if err := g.write(map[string]any{"id": m.ID, "result": nil}); err != nil {
				return err
			}
		case m.Method == "":
			id, _ := strconv.Atoi(string(m.ID))
			g.mu.Lock()
			if answer := g.waiting[id]; answer != nil {
				answer <- m.reply
			}
			delete(g.waiting, id)
			g.mu.Unlock()
		}
	}
}

// fail answers all that is asked, and will be.
func (g *gopls) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, answer := range g.waiting {
		answer <- reply{Error: &struct {
			Message string `json:"message"`
		}{"gopls has ended: " + err.Error()}}
	}
	g.waiting = nil
}

// show tells the server what stands in a file, whose text on the disk does not matter.
func (g *gopls) show(path, text string) error {
	g.mu.Lock()
	g.version++
	version := g.version
	g.mu.Unlock()
	return g.tell("textDocument/didChange", map[string]any{
		"textDocument":   map[string]any{"uri": uri(path), "version": version},
		"contentChanges": []any{map[string]string{"text": text}},
	})
}

// open makes a file the server's to be told about.
func (g *gopls) open(path, text string) error {
	return g.tell("textDocument/didOpen", map[string]any{
		"textDocument": map[string]any{"uri": uri(path), "languageId": "go", "version": 0, "text": text},
	})
}
