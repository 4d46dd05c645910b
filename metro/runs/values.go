// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// Values are named measurements. In JSON, whose numbers are all finite, NaN and the infinities are the texts "NaN",
// "Infinity" and "-Infinity", so that a diverged run can be told from one that measured nothing. The names are written
// in the order of their bytes, each number in the shortest form that reads back as the same 64 bits.
type Values map[string]float64

// MarshalJSON implements [json.Marshaler].
func (v Values) MarshalJSON() ([]byte, error) {
	return append(v.appendFields([]byte{'{'}), '}'), nil
}

// appendFields appends the members of the JSON object, with a comma between them.
func (v Values) appendFields(text []byte) []byte {
	for i, name := range slices.Sorted(maps.Keys(v)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, canonicalText(name)...), ':')
		switch value := v[name]; {
		case math.IsNaN(value):
			text = append(text, `"NaN"`...)
		case math.IsInf(value, 1):
			text = append(text, `"Infinity"`...)
		case math.IsInf(value, -1):
			text = append(text, `"-Infinity"`...)
		default:
			text = append(text, canonicalText(value)...)
		}
	}
	return text
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *Values) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var fields map[string]any
	if err := decodeWhole(decoder, text, &fields); err != nil {
		return err
	}
	if fields == nil {
		return errors.New("null where an object should be")
	}
	*v = make(Values, len(fields))
	for name, field := range fields {
		value, err := parseValue(field)
		if err != nil {
			return fmt.Errorf("%.80q: %w", name, err)
		}
		(*v)[name] = value
	}
	return nil
}

func parseValue(field any) (float64, error) {
	switch field := field.(type) {
	case json.Number:
		return strconv.ParseFloat(field.String(), 64)
	case string:
		switch field {
		case "NaN":
			return math.NaN(), nil
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
	}
	return 0, fmt.Errorf("%.40q is not a number", fmt.Sprint(field))
}
