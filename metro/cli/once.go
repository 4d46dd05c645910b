// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"metrolab/internal/usererr"
)

// once makes it an error to give a flag of c twice that takes one value: the last would win without a word.
func once(c *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if _, list := f.Value.(pflag.SliceValue); !list {
				f.Value = &single{Value: f.Value, name: f.Name}
			}
		})
	}
}

// single is the value of a flag that can be given once.
type single struct {
	pflag.Value
	name  string
	given bool
}

func (s *single) Set(text string) error {
	if s.given {
		way := "give it once"
		if s.name == "corpus" {
			way = "several texts can be put into one folder"
		}
		return usererr.New("--%s is given twice, as %q and as %q; %s", s.name, s.String(), text, way)
	}
	s.given = true
	return s.Value.Set(text)
}

// checkFilled returns the user's error if a flag of c is given without a text, as --data "$DATA" is where that variable is not set: it
// would be as if the flag were not there, or name the folder one is in.
func checkFilled(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if err != nil || !strings.HasPrefix(f.Value.Type(), "string") || f.Name == "set" { // an assignment says how it is written
			return
		}
		elements := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			elements = list.GetSlice()
		}
		empty := len(elements) == 0
		for _, element := range elements {
			empty = empty || strings.TrimSpace(element) == ""
		}
		switch {
		case !empty:
		case f.Name == "corpus":
			err = errNoCorpus
		default:
			err = usererr.New("--%s has nothing in it; is a variable of the shell not set? Say what it is, or leave it out", f.Name)
		}
	})
	return err
}

// checkLists returns the user's error if a flag of c that is a list holds an element twice or, where it assigns values to
// paths, a path.
func checkLists(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		list, ok := f.Value.(pflag.SliceValue)
		if !ok || err != nil {
			return
		}
		seen := map[string]string{}
		for _, element := range list.GetSlice() {
			key := element
			if f.Name == "set" {
				path, _, _ := strings.Cut(element, "=")
				key = strings.TrimSpace(path)
			}
			if first, again := seen[key]; again && first == element {
				err = usererr.New("--%s %q is given twice; give it once", f.Name, element)
			} else if again {
				err = usererr.New("--%s gives %s two values, %q and %q; leave one out", f.Name, key, first, element)
			}
			seen[key] = element
		}
	})
	return err
}
