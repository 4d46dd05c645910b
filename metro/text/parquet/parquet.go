// SPDX-License-Identifier: Apache-2.0

// Package parquet has package text read Parquet files. It is imported for that alone.
package parquet

import (
	"io"

	"metrolab/metro/text"
	"metrolab/metro/text/internal/columns"
)

func init() { text.RegisterParquet(Read) }

// Read streams the texts in one column of a Parquet file; see [text.ColumnReader]. A list holds a text each, and the column a.b is b
// of a.
func Read(r io.ReaderAt, size int64, column string, emit func(text string) error) (names []string, rows, without, first int64, err error) {
	found, err := columns.Texts(r, size, column, emit)
	return found.Names, found.Rows, found.Without, found.First, err
}
