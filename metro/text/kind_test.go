// SPDX-License-Identifier: Apache-2.0

package text

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// rows writes n lines, each made by line.
func rows(n int, line func(i int) string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(line(i) + "\n")
	}
	return out.String()
}

func utf16Text(text string, order binary.ByteOrder, mark bool) string {
	if mark {
		text = "\uFEFF" + text
	}
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, 0, 0)
		order.PutUint16(out[len(out)-2:], unit)
	}
	return string(out)
}

// html is a page with little text in it.
var html = "<div>\n" + strings.Repeat(`<p class="x">one <b>two</b></p>`+"\n", 20) + "</div>\n"

// What is no text is refused by what is in it, whatever its name, and the error says what it is.
func TestOtherKindsAreRefused(t *testing.T) {
	jsonl := rows(30, func(i int) string { return fmt.Sprintf(`{"id": %d, "text": "a text", "tags": ["x"]}`, i) })
	for name, c := range map[string]struct{ content, want string }{
		"jsonl.txt":        {jsonl, "its fields are: text, id, tags"},
		"lines.jsonl":      {jsonl, "data.field=NAME"},
		"marked.txt":       {"\xEF\xBB\xBF" + jsonl, "holds JSON"},
		"array.txt":        {"[\n" + strings.ReplaceAll(strings.TrimSpace(jsonl), "\n", ",\n") + "]", "its fields are: text, id, tags"},
		"strings.txt":      {`["one text", "another text", "a third"]`, "holds JSON that begins with no object"},
		"nan.txt":          {`{"id": 1, "score": NaN, "text": "x"}` + "\n", "holds JSON"},
		"long.txt":         {`{"text": "` + strings.Repeat("word ", 30000) + `"}`, "holds JSON"},
		"commas.txt":       {rows(30, func(i int) string { return fmt.Sprintf(`%d,a text,pos`, i) }), "commas"},
		"quoted.txt":       {rows(30, func(i int) string { return fmt.Sprintf(`%d,"a text, with\n\na ""comma""",pos`, i) }), "commas"},
		"spaces.txt":       {rows(30, func(i int) string { return fmt.Sprintf(`%d, a text, pos`, i) }), "commas"},
		"two.txt":          {"label,text\n" + rows(9, func(i int) string { return fmt.Sprintf(`%d,a text`, i) }), "commas"},
		"semicolons.txt":   {rows(30, func(i int) string { return fmt.Sprintf(`%d;a text, such as this;pos`, i) }), "semicolons"},
		"tabs.txt":         {rows(30, func(i int) string { return fmt.Sprintf("%d\tHe said \"no\", and went.\tpos", i) }), "tabs"},
		"crlf.txt":         {strings.ReplaceAll(rows(30, func(i int) string { return fmt.Sprintf(`%d,a text,pos`, i) }), "\n", "\r\n"), "commas"},
		"table.csv":        {"just words", "CSV"},
		"table.TSV.gz":     {gzipped(t, "just words"), "TSV"},
		"packed":           {gzipped(t, rows(30, func(i int) string { return fmt.Sprintf(`%d,a text,pos`, i) })), "commas"},
		"page.txt":         {"\n<!DOCTYPE html>\n<html><body>text</body></html>", "HTML"},
		"fragment.txt":     {html, "web page"},
		"paragraphs.txt":   {rows(9, func(int) string { return "<p>" + strings.Repeat("many words of text ", 30) + "</p>" }), "web page"},
		"comment.txt":      {"<!-- a comment -->\n<HTML><p>" + strings.Repeat("many words of text ", 30), "web page"},
		"data.txt":         {`<?xml version="1.0"?><r>text</r>`, "XML"},
		"page.htm":         {"text", "HTML"},
		"book.pdf":         {"text", "PDF"},
		"pdf.txt":          {"%PDF-1.7\n", "PDF"},
		"docx.txt":         {"PK\x03\x04\x14\x00\x06", "ZIP"},
		"parquet.md":       {"PAR1\x15\x04", "Parquet"},
		"rtf.txt":          {`{\rtf1\ansi text}`, "RTF"},
		"twice.gz":         {gzipped(t, gzipped(t, "text")), "packed twice"},
		"tar.gz":           {gzipped(t, "x"+strings.Repeat("\x00", 256)+"ustar\x0000"), "tar archive"},
		"le.txt":           {utf16Text("Some words, and some more.", binary.LittleEndian, true), "UTF-16 text (little-endian)"},
		"be.txt":           {utf16Text("Some words, and some more.", binary.BigEndian, true), "UTF-16 text (big-endian)"},
		"unmarked.txt":     {utf16Text("Some words, and some more.", binary.LittleEndian, false), "UTF-16 text without a mark"},
		"utf32.txt":        {"\xFF\xFE\x00\x00a\x00\x00\x00", "UTF-32"},
		"zeros.txt":        {strings.Repeat("\x00", 5000), "zero bytes"},
		"tail.txt":         {strings.Repeat("Some words. ", 500) + strings.Repeat("\x00", 5000), "5,000 of 11,000 bytes (45 %) are not UTF-8, the first is byte 6,000"},
		"gbk.txt":          {strings.Repeat("\xD0\xC2\xCE\xC5", 20), "convert it: iconv"},
		"latin1.txt":       {strings.Repeat("Stra\xDFe und \xDCbermut, wie sie hier stehen. ", 20), "is not UTF-8: 40 of 820 bytes (4.9 %)"},
		"packed-latin1.gz": {gzipped(t, strings.Repeat("Stra\xDFe und \xDCbermut, wie sie hier stehen. ", 20)), "is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, cache := writeTree(t, map[string]string{name: c.content}), t.TempDir()
			for _, path := range []string{filepath.Join(dir, name), dir} {
				_, err := Prepare(t.Context(), path, cache, nil)
				require.True(t, usererr.Is(err), "%v", err)
				require.ErrorContains(t, err, dir)
				if path != dir || isText(name) {
					require.ErrorContains(t, err, name)
					require.ErrorContains(t, err, c.want)
				} else {
					require.ErrorContains(t, err, "1 files of other kinds (passed over: 1 file of another kind ("+name+"))")
				}
				require.Empty(t, leftovers(t, cache))
			}
		})
	}
}

// What is text is taken, however much it looks like something else.
func TestProseIsTaken(t *testing.T) {
	for name, content := range map[string]string{
		"novel.txt":    strings.Repeat("“Well,” said he, “it is late.”\n\"And yet,\" said she.\n\n", 40),
		"lines.txt":    rows(40, func(i int) string { return fmt.Sprintf("Sentence %d of one line, with a comma.", i) }),
		"verse.txt":    rows(40, func(int) string { return "Tyger Tyger, burning bright," }),
		"ends.txt":     rows(40, func(i int) string { return fmt.Sprintf("A line of verse, the %dth,", i) }),
		"table.md":     "# Title\n\n| a | b |\n|---|---|\n" + rows(20, func(i int) string { return fmt.Sprintf("| %d | x, y |", i) }),
		"badges.md":    `<p align="center"><img src="x"></p>` + "\n" + strings.Repeat(`<a href="x"><img src="y"></a>`+"\n", 9) + "\n# Project\n\nText.\n",
		"code.txt":     "int main(void) {\n\tif (a < b && c > d) {\n\t\treturn f(a, b);\n\t}\n\treturn 0;\n}\n",
		"generics.txt": "<T> List<T> of(Map<String, List<T>> m) { return m.get(\"a\"); }\n",
		"protein.fasta": rows(40, func(i int) string {
			return ">sp|P69905|HBA\nMVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSH" + strings.Repeat("A", i)
		}),
		"footnote.txt": "[1] Smith, J. (1999). A title.\n\n[2] Another.\n",
		"set.txt":      "{a, b, c} is a set of three members.\n",
		"quoted.txt":   "[\"Stop\"] he wrote, and so it stopped.\n",
		"tex.txt":      "\\documentclass{article}\n\\begin{document}\nText, and more.\n\\end{document}\n",
		"sub.srt": rows(30, func(i int) string {
			return fmt.Sprintf("%d\n00:00:%02d,000 --> 00:00:%02d,000\nSome words.\n", i, i, i+1)
		}),
		"chat.txt": rows(40, func(i int) string {
			return fmt.Sprintf("[12.0%d.24, 10:1%d] Ann: Yes, %s", i%9, i%9, strings.Repeat("so, ", i%4))
		}),
		"thai.txt":   strings.Repeat("ภาษาไทยไม่มีช่องว่าง\n\n", 40),
		"emoji.txt":  strings.Repeat("👍🏽 👩‍👩‍👧 fine\n\n", 40),
		"names.txt":  "Ada\nBob\nCy\nDan\nEve\nFay\n",
		"tabbed.txt": rows(40, func(i int) string { return "\tindented line " + fmt.Sprint(i) }),
		"packed":     gzipped(t, "A text that is packed under a name that does not say so."),
		"stray.txt":  strings.Repeat("Many good words stand here. ", 400) + "caf\xE9 na\xEFve" + strings.Repeat(" More words.", 400),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := prepare(t, filepath.Join(writeTree(t, map[string]string{name: content}), name))
			require.NoError(t, err)
			require.NotZero(t, c.Stats.Total().Words)
			if name == "stray.txt" {
				require.Len(t, c.Notes, 1)
				require.Contains(t, c.Notes[0], "stray.txt (2 of 16,010 bytes (0.012 %) are not UTF-8, the first is byte 11,203)")
			} else {
				require.Empty(t, c.Notes)
			}
		})
	}
}

// Many files with a few bad bytes each are as bad as one with many.
func TestBadBytesOfAllFilesCount(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("%d.txt", i)] = fmt.Sprintf("Stra\xDFe, \xDCbermut %d", i)
	}
	_, err := prepare(t, writeTree(t, files))
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "40 of ")
}

// All files of a folder that cannot be taken are named at once.
func TestRefusedFilesAreNamedTogether(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "<!doctype html>", "b.txt": "%PDF-1.4", "c.txt": "words"})
	_, err := prepare(t, dir)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "2 of the 3 files of "+dir+" cannot be taken (a.txt, b.txt)")
	require.NoError(t, os.Remove(filepath.Join(dir, "a.txt")))
	_, err = prepare(t, dir)
	require.ErrorContains(t, err, "b.txt is a PDF document")
	require.ErrorContains(t, err, "or move it out of the folder")
}

// A clone on a machine without Git LFS has pointers in the place of its files, whatever their names say.
func TestPointersAreNoText(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	for _, name := range []string{"a.txt", "a.jsonl", "a.parquet", "a.txt.gz", "a.md"} {
		_, err := prepare(t, filepath.Join(writeTree(t, map[string]string{name: pointer}), name))
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, "git lfs pull fetches it", name)
	}
}

func FuzzKind(f *testing.F) {
	for _, seed := range []string{"", "{", `{"a":`, `[{"a": 1}`, "<p>", "a,b\n", "\"", "a\tb\n\"", "\xFF\xFE", "\x00", "\xEF\xBB\xBF{}", html} {
		f.Add("x.txt", []byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, name string, head []byte, whole bool) { kindOf(name, head, whole) })
}
