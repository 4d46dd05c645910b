// SPDX-License-Identifier: Apache-2.0

package text

import (
	"errors"
	"io"
)

// ColumnReader streams the texts in one column of a table of size bytes. It returns the names of its columns, those of texts first,
// the number of rows, of those without a text in the column, and the first of these, counted from 1.
type ColumnReader func(r io.ReaderAt, size int64, column string, emit func(text string) error) (names []string, rows, without, first int64, err error)

var readColumn ColumnReader = func(io.ReaderAt, int64, string, func(string) error) ([]string, int64, int64, int64, error) {
	return nil, 0, 0, 0, errors.New("it is a Parquet file, and this program reads none; one that imports metrolab/metro/text/parquet does")
}

// RegisterParquet has Parquet files read. It is called when package metro/text/parquet is imported: a reader of tables is large, and
// a program that only looks at runs should not link one.
func RegisterParquet(read ColumnReader) { readColumn = read }
