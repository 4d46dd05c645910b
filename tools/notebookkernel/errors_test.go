// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"testing"
)

// told is a message about the request "r".
func told(kind string, content any) message {
	return message{header: encode(header{Type: kind}), parent: encode(header{ID: "r"}), content: encode(content)}
}

func TestErrorsAreLines(t *testing.T) {
	m := newMemory()
	m.learn("%%\nloss := 1\n_ = loss", 2)
	for _, c := range []struct {
		want  string
		trace []string
	}{
		{"line 2: undefined: h", []string{"# gonb_0123abcd", "Cell[3]: Line 2\nfunc g() int {\n\treturn h()\n  ^\n\x1b[31mundefined: h\x1b[0m", ""}},
		{"cell [1], line 4: too many arguments in call to f; have (number); want ()",
			[]string{"Cell[1]: Line 4\nf(1)\n\x1b[31mtoo many arguments in call to f\x1b[0m", "\thave (number)", "\twant ()", "exit status 1"}},
		{"line 1: undefined: loss; cell [2] has it below its %%, and what is there ends with the cell: declare it above the %% " +
			"(var loss = …, or a function that returns it), or make it again here", []string{"Cell Line 1\nloss\n\x1b[31mundefined: loss\x1b[0m"}},
		{"cannot open gone", []string{"cannot open /tmp/gonb_0123abcd/main.go:7:3: gone"}},
		{"this checkout has no package metrolab/nosuch", []string{"module metrolab@latest found (v0.0.0, replaced by /home/me), but does not contain package metrolab/nosuch"}},
	} {
		f := newTidier(m).tidied(&cell{count: 3}, failure{Trace: c.trace, Value: "/tmp/gonb_0123abcd"})
		equal(t, c.want, f.Value)
		equal(t, c.want, f.Trace[0])
	}
}

// An exit status is shown once, by the error; without an error it stays, and so does what came around it.
func TestExitStatusOnce(t *testing.T) {
	text := func(all []message) (texts []string) {
		for _, m := range all {
			var s struct {
				Text  string
				Value string `json:"evalue"`
			}
			_ = json.Unmarshal(m.content, &s)
			texts = append(texts, s.Text+s.Value)
		}
		return texts
	}
	for _, ends := range []bool{true, false} {
		tidy := newTidier(newMemory())
		tidy.asked("r", encode(map[string]string{"code": "%%"}))
		var got []string
		for _, m := range []message{
			told("execute_input", map[string]int{"execution_count": 3}),
			told("stream", map[string]string{"name": "stderr", "text": "at [[ Cell [3] Line 2 ]] /tmp/gonb_0123abcd/main.go:9 +0x1\n"}),
			told("stream", map[string]string{"name": "stderr", "text": "exit status 1\n"}),
		} {
			got = append(got, text(tidy.published(m))...)
		}
		if ends {
			got = append(got, text(tidy.published(told("error", failure{Value: "exit status 1"})))...)
		}
		got = append(got, text(tidy.published(told("status", map[string]string{"execution_state": "idle"})))...)
		want := []string{"", "at [[ Cell [3] Line 2 ]] +0x1\n", "exit status 1", ""}
		if !ends {
			want[2] += "\n"
		}
		if len(got) != len(want) {
			t.Fatalf("%q", got)
		}
		for i := range want {
			equal(t, want[i], got[i])
		}
		tidy.reply("r", encode(failure{Status: "ok", Count: 3}))
		equal(t, 0, len(tidy.cells))
	}
}

func TestSignature(t *testing.T) {
	m := message{to: [][]byte{[]byte("me")}, header: []byte("{}"), parent: []byte("{}"), metadata: []byte("{}"), content: []byte(`{"a":1}`)}
	frames := m.wrap("key")
	equal(t, true, signed(frames, "key"))
	equal(t, false, signed(frames, "other"))
	frames[6] = []byte(`{"a":2}`)
	equal(t, false, signed(frames, "key"))
	equal(t, true, signed(m.wrap(""), ""))
}
