// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"

	"metrolab/viz/table"
)

// parquetOf is a table as a Parquet file. A column is of whole numbers, numbers, truth values or text, as its cells are; nil is
// a null.
func parquetOf(t table.Table) ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	fields := make([]reflect.StructField, len(t.Columns))
	for i, c := range t.Columns {
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("Column%d", i), Type: reflect.PointerTo(columnType(t, i)),
			Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", parquetName(c.Name)+",optional")),
		}
	}
	row := reflect.StructOf(fields)
	var file bytes.Buffer
	w := parquet.NewWriter(&file, parquet.SchemaOf(reflect.New(row).Interface()))
	for _, cells := range t.Rows {
		value := reflect.New(row)
		for i, cell := range cells {
			if cell == nil {
				continue
			}
			field := reflect.New(fields[i].Type.Elem())
			field.Elem().Set(cellAs(cell, field.Type().Elem()))
			value.Elem().Field(i).Set(field)
		}
		if err := w.Write(value.Interface()); err != nil {
			return nil, fmt.Errorf("write Parquet: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write Parquet: %w", err)
	}
	return file.Bytes(), nil
}

// parquetName is a column's name without what the tags of parquet-go part at.
func parquetName(name string) string { return strings.NewReplacer(",", "", `"`, "").Replace(name) }

// columnType is the narrowest type that holds all cells of a column.
func columnType(t table.Table, column int) reflect.Type {
	kinds := map[reflect.Kind]bool{}
	for _, cells := range t.Rows {
		switch v := reflect.ValueOf(cells[column]); {
		case cells[column] == nil:
		case v.CanInt():
			kinds[reflect.Int64] = true
		case v.CanFloat():
			kinds[reflect.Float64] = true
		case v.Kind() == reflect.Bool:
			kinds[reflect.Bool] = true
		default:
			kinds[reflect.String] = true
		}
	}
	switch {
	case len(kinds) == 1 && kinds[reflect.Int64]:
		return reflect.TypeFor[int64]()
	case len(kinds) == 1 && kinds[reflect.Bool]:
		return reflect.TypeFor[bool]()
	case len(kinds) > 0 && !kinds[reflect.String] && !kinds[reflect.Bool]:
		return reflect.TypeFor[float64]()
	}
	return reflect.TypeFor[string]()
}

// cellAs is a cell in the type of its column.
func cellAs(cell any, as reflect.Type) reflect.Value {
	if as.Kind() == reflect.String {
		return reflect.ValueOf(fmt.Sprint(cell))
	}
	return reflect.ValueOf(cell).Convert(as)
}
