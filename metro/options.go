// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// Option is a setting that a registered part has for itself: "objective.options.gamma" of an objective with an option
// gamma. Its neutral value, which is also its default, says its type: float64, int, bool or string.
type Option struct {
	Name    string
	Neutral any
	Class   Class    // ClassGraph unless set; a [ClassInput], which must be a float64, reaches the graph by [Pass.Option]
	Low     float64  // bounds of a number; where both are 0, every finite number will do
	High    float64  //
	Choices []string // the values of a string; none: every string will do
	Help    string   // what it is, in a few words
}

// Options are the values of a part's own options, by name. Those at their neutral value are left out, so that Options of
// equal meaning are equal. They are a value, like a string: they compare with == and never change.
type Options struct{ text string } // canonical JSON of an object, "" if it is empty

// MarshalJSON implements [json.Marshaler].
func (o Options) MarshalJSON() ([]byte, error) {
	if o.text == "" {
		return []byte("{}"), nil
	}
	return []byte(o.text), nil
}

// UnmarshalJSON implements [json.Unmarshaler]. Names are not checked here; see [Config.Validate].
func (o *Options) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	for name, value := range values {
		switch value := value.(type) {
		case string, bool:
		case json.Number: // 2, 2.0 and 2e0 are one value
			number, err := value.Float64()
			if err != nil {
				return fmt.Errorf("option %q: %w", name, err)
			}
			if _, err := value.Int64(); err != nil { // whole numbers of any size stay as they are
				values[name] = number
			}
		default:
			return fmt.Errorf("option %q is neither a number nor a text nor a truth value", name)
		}
	}
	*o = newOptions(values)
	return nil
}

// IsZero reports whether all options are at their neutral values; encoding/json leaves such Options out.
func (o Options) IsZero() bool { return o.text == "" }

// String is the JSON text.
func (o Options) String() string { return o.text }

func newOptions(values map[string]any) Options {
	if len(values) == 0 {
		return Options{}
	}
	text, err := json.Marshal(values) // sorts the names
	if err != nil {
		panic(err) // values are numbers, texts and truth values
	}
	return Options{string(text)}
}

func (o Options) values() map[string]any {
	values := map[string]any{}
	if o.text == "" {
		return values
	}
	decoder := json.NewDecoder(strings.NewReader(o.text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		panic(err) // it was made by newOptions
	}
	return values
}

// names lists the options that are set.
func (o Options) names() []string { return slices.Sorted(maps.Keys(o.values())) }

// with returns o with one value changed; the neutral value takes the name out.
func (o Options) with(option Option, value any) Options {
	values := o.values()
	values[option.Name] = value
	if value == option.Neutral {
		delete(values, option.Name)
	}
	return newOptions(values)
}

// value returns the value of an option, of the type of its neutral value. What is not of that type is neutral.
func (o Options) value(option Option) any {
	value, ok := o.values()[option.Name]
	if !ok {
		return option.Neutral
	}
	if converted, err := option.parse(fmt.Sprint(value)); err == nil {
		return converted
	}
	return option.Neutral
}

// parse reads a value of the option from text.
func (option Option) parse(text string) (any, error) {
	switch option.Neutral.(type) {
	case bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
		return nil, usererr.New("wants true or false, not %q", text)
	case int:
		if n, err := strconv.Atoi(text); err == nil {
			return n, option.within(float64(n))
		}
		return nil, usererr.New("wants a whole number, not %q", text)
	case string:
		if len(option.Choices) > 0 && !slices.Contains(option.Choices, text) {
			return nil, usererr.New("must be one of %q, it is %q", option.Choices, text)
		}
		return text, nil
	default:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, usererr.New("wants a finite number, not %q", text)
		}
		return x, option.within(x)
	}
}

func (option Option) within(x float64) error {
	if (option.Low != 0 || option.High != 0) && !(x >= option.Low && x <= option.High) {
		return usererr.New("must be in [%g, %g], it is %g", option.Low, option.High, x)
	}
	return nil
}

// check panics on an option that no config could set: a mistake of the program that registers it.
func (option Option) check() error {
	switch option.Neutral.(type) {
	case float64:
	case int, bool, string:
		if option.Class == ClassInput {
			return fmt.Errorf("option %q is an input of the graph, so its neutral value must be a float64, not %T", option.Name, option.Neutral)
		}
	default:
		return fmt.Errorf("option %q: its neutral value is a %T; it must be a float64, an int, a bool or a string", option.Name, option.Neutral)
	}
	if option.Name == "" || strings.ContainsAny(option.Name, ". =") {
		return fmt.Errorf("%q is no name for an option: it is empty, or holds a point, a space or =", option.Name)
	}
	_, err := option.parse(fmt.Sprint(option.Neutral))
	return err
}
