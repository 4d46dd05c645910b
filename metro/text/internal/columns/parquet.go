// SPDX-License-Identifier: Apache-2.0

// Package columns reads the texts in a column of a Parquet file. It knows nothing of corpora, so that programs which read none of
// Parquet need not link it; see package metro/text/parquet.
package columns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// Found is what a file holds besides texts.
type Found struct {
	Names                []string // of the columns, those of texts first
	Rows, Without, First int64    // rows in all, those without a text in the column, and the first of these, from 1
}

// Texts streams the texts in one column of a Parquet file of size bytes, row by row; of a list of texts each is one. Values that are
// null are counted as rows without a text. Memory holds a page at a time. The column a.b is b of a. A file without the column is no
// error: none of its rows has a text.
func Texts(r io.ReaderAt, size int64, column string, emit func(text string) error) (found Found, err error) {
	defer func() { // the library trusts some of what stands in a file
		if p := recover(); p != nil {
			err = fmt.Errorf("it is a damaged Parquet file: %v", p)
		}
	}()
	if err := footerFits(r, size); err != nil {
		return found, fmt.Errorf("it is no whole Parquet file: %w", err)
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return found, fmt.Errorf("it is no whole Parquet file: %w", err)
	}
	leaf := textColumn(file.Root(), column, &found)
	if leaf == nil {
		found.Rows, found.Without = file.NumRows(), file.NumRows()
		if found.Without > 0 {
			found.First = 1
		}
		return found, nil
	}
	for _, group := range file.RowGroups() {
		chunk := group.ColumnChunks()[leaf.Index()]
		read, err := chunkTexts(chunk, leaf.MaxDefinitionLevel(), &found, emit)
		if err == nil && read != chunk.NumValues() {
			err = fmt.Errorf("column %s ends after %d of %d values", column, read, chunk.NumValues())
		}
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// footerFits returns an error for a file that does not end as Parquet does, or whose end speaks of a footer longer than the file:
// the library would make room for it first.
func footerFits(r io.ReaderAt, size int64) error {
	var end [8]byte
	if size < 12 {
		return io.ErrUnexpectedEOF
	}
	if _, err := r.ReadAt(end[:], size-8); err != nil {
		return err
	}
	if footer := int64(binary.LittleEndian.Uint32(end[:])); string(end[4:]) != "PAR1" || footer > size-12 {
		return fmt.Errorf("its last 8 bytes, %q, are not the end of one", end[:])
	}
	return nil
}

// textColumn returns the column of texts with a name, and lists those that there are.
func textColumn(root *parquet.Column, name string, found *Found) (column *parquet.Column) {
	var texts, others []string
	var visit func(c *parquet.Column)
	visit = func(c *parquet.Column) {
		for _, below := range c.Columns() {
			visit(below)
		}
		if !c.Leaf() {
			return
		}
		path := columnName(c.Path())
		if kind := c.Type().Kind(); kind != parquet.ByteArray {
			others = append(others, path)
			return
		}
		if texts = append(texts, path); path == name {
			column = c
		}
	}
	visit(root)
	found.Names = slices.Concat(texts, others)
	return column
}

// columnName is the path of a column without the two levels by which Parquet writes a list.
func columnName(path []string) string {
	if n := len(path); n > 2 && path[n-2] == "list" {
		path = path[:n-2]
	}
	return strings.Join(path, ".")
}

// complete returns an error for a page whose header speaks of more values than it holds, upon which the library would go round
// for ever. A value that is not null has the column's full level of definition.
func complete(page parquet.Page, maxDefinition int) error {
	want := int(page.NumValues())
	if levels := page.DefinitionLevels(); len(levels) > 0 {
		want = bytes.Count(levels, []byte{byte(maxDefinition)})
	}
	held := 0
	if values := page.Data(); page.Dictionary() != nil {
		held = len(values.Int32())
	} else {
		_, offsets := values.ByteArray()
		held = max(0, len(offsets)-1)
	}
	if held < want {
		return fmt.Errorf("a page holds %d of its %d values", held, want)
	}
	return nil
}

// chunkTexts streams the texts of a column's part of a row group, and returns how many values it has, those that are null
// counted.
func chunkTexts(chunk parquet.ColumnChunk, maxDefinition int, found *Found, emit func(text string) error) (read int64, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	values := make([]parquet.Value, 64)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		n := int64(0)
		if err = complete(page, maxDefinition); err == nil {
			n, err = pageTexts(page, values, found, emit)
		}
		parquet.Release(page)
		if read += n; err != nil {
			return read, err
		}
	}
}

func pageTexts(page parquet.Page, values []parquet.Value, found *Found, emit func(text string) error) (read int64, err error) {
	in := page.Values()
	for {
		n, err := in.ReadValues(values)
		for _, v := range values[:n] {
			read++
			found.Rows++
			if v.IsNull() {
				if found.Without++; found.Without == 1 {
					found.First = found.Rows
				}
			} else if err := emit(string(v.ByteArray())); err != nil {
				return read, err
			}
		}
		switch {
		case err == io.EOF:
			return read, nil
		case err == nil && n == 0: // the page's header says more than it holds
			return read, io.ErrNoProgress
		case err != nil:
			return read, err
		}
	}
}
