// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/bench"
	"metrolab/metro/minimalpairs"
	"metrolab/metro/plan"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/text"
)

// completer lists what the shell may put in the place of a word that has begun.
type completer func(c *cobra.Command, given []string, begun string) []string

// flagValues knows the values of flags by their names, which mean the same in every command.
var flagValues = map[string]completer{
	"recipe": func(c *cobra.Command, given []string, begun string) []string {
		switch {
		case c.Parent().Name() == "bench":
			return benchRecipes(begun)
		case c.Name() == "plan":
			return listed(plannable(), begun)
		}
		return recipes.Names()
	},
	"axis":   func(*cobra.Command, []string, string) []string { return bench.Axes() },
	"engine": func(*cobra.Command, []string, string) []string { return []string{"kubernetes", "slurm"} },
	"backend": func(*cobra.Command, []string, string) []string {
		return []string{"auto", "go", "xla", "xla:cpu", "xla:cuda"}
	},
	"target":  targets,
	"device":  func(*cobra.Command, []string, string) []string { return devicesKnown() },
	"sharded": func(*cobra.Command, []string, string) []string { return plan.Shardings() },
	"corpus":  corpora,
	"task":    taskNames,
	"scorer": func(_ *cobra.Command, _ []string, begun string) []string {
		return listed(minimalpairs.ScorerNames(), begun)
	},
	"published": func(*cobra.Command, []string, string) []string { return recipeNames() },
	"set":       assignments,
	"arm":       arms,
	"baseline":  func(*cobra.Command, []string, string) []string { return recipes.Names() },
	"change":    assignments,
	"grid":      assignments,
	"matching":  func(*cobra.Command, []string, string) []string { return ablations.Matchings() },
	"outcome":   func(*cobra.Command, []string, string) []string { return ablations.NamedOutcomes() },
	"model":     models,
	"init-from": models,
	"resume":    models,
	"out":       folders,
	"to":        folders,
	"data":      files,
	"input":     files,
	"output":    files,
}

// arguments knows the words of commands, by their path.
var arguments = map[string]completer{
	"metro ablate run":    studyNames,
	"metro ablate plan":   studyNames,
	"metro ablate export": func(*cobra.Command, []string, string) []string { return holding("runs", "study.json") },
	"metro ablate noise":  func(*cobra.Command, []string, string) []string { return holding("runs", "study.json") },
	"metro ablate submit": studyNames,
	"metro ablate report": func(*cobra.Command, []string, string) []string { return holding("runs", "study.json") },
	"metro ablate watch":  func(*cobra.Command, []string, string) []string { return holding("runs", "study.json") },
	"metro bench compare": files,
	"metro claims run":    claimIDs,
	"metro claims show":   claimIDs,
	"metro data show":     corpora,
	"metro data export":   files,
	"metro data get":      func(*cobra.Command, []string, string) []string { return slices.Sorted(maps.Keys(packagedTexts)) },
	"metro recipe show":   func(*cobra.Command, []string, string) []string { return recipes.Names() },
	"metro diagnose":      runIDs,
	"metro runs compare":  runIDs,
	"metro runs diff":     runIDs,
	"metro runs export":   runIDs,
	"metro runs extend":   runIDs,
	"metro runs plot":     runIDs,
	"metro runs show":     runIDs,
	"metro runs verify":   runIDs,
	"metro runs rm":       runIDs,
}

// complete tells the shell about the flags and words of c. What has no list takes a number or a text, never a file.
func complete(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) { register(c, f) })
	c.PersistentFlags().VisitAll(func(f *pflag.Flag) { register(c, f) })
	if !c.HasSubCommands() && c.ValidArgsFunction == nil {
		words := arguments[c.CommandPath()]
		takesTwo := slices.Contains([]string{"metro runs diff", "metro runs compare", "metro bench compare"}, c.CommandPath()) // one is not enough
		c.ValidArgsFunction = func(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
			if words == nil || c.ValidateArgs(append(slices.Clone(given), begun)) != nil && !(takesTwo && len(given) < 2) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return offer(words(c, given, begun), begun)
		}
	}
}

// listed completes the last of names with commas between them.
func listed(names []string, begun string) (all []string) {
	done := begun[:strings.LastIndex(begun, ",")+1]
	for _, name := range names {
		all = append(all, done+name)
	}
	return all
}

func register(c *cobra.Command, f *pflag.Flag) {
	values := flagValues[f.Name]
	err := c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
		if values == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(values(c, given, begun), begun)
	})
	if err != nil {
		panic(err)
	}
}

// offer is the answer to the shell: what goes on as the word has begun. What a value or a path can follow gets no space.
func offer(all []string, begun string) ([]string, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	fitting := slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, begun) })
	if slices.ContainsFunc(fitting, func(s string) bool { return strings.HasSuffix(s, "/") || strings.HasSuffix(s, "=") }) {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return fitting, directive
}

// assignments completes --set: paths of the config that the command begins with and, behind "=", the values that have names.
func assignments(c *cobra.Command, given []string, begun string) (all []string) {
	config := recipes.Tiny()
	if f := cmp.Or(c.Flag("recipe"), c.Flag("baseline")); f != nil && f.Value.String() != "" {
		recipe, _, _ := strings.Cut(f.Value.String(), "@")
		given = []string{recipe}
	}
	if len(given) > 0 {
		if found, err := recipes.Get(given[0]); err == nil {
			config = found
		} else if study, err := (studyFlags{}).study(given[0], ""); err == nil {
			config = study.Baseline
		}
	}
	values := namedValues(config)
	if path, _, assigned := strings.Cut(begun, "="); assigned {
		for _, value := range values[path] {
			all = append(all, path+"="+value)
		}
		return all
	}
	for _, path := range slices.Concat(config.Paths(), slices.Collect(maps.Keys(values))) {
		all = append(all, path+"=")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// namedValues are the values that have names, by path.
func namedValues(c metro.Config) map[string][]string {
	values := metro.Choices()
	values["generator.size"] = metro.SizingRules()
	values["masking.rule"] = []string{"100/0/0", "85/15/0", "80/10/10"}
	for _, f := range c.Fields() {
		if _, is := f.Value.(bool); is {
			values[f.Path] = []string{"false", "true"}
		}
	}
	return values
}

// arms completes --arm with the changes of the study.
func arms(_ *cobra.Command, given []string, _ string) (names []string) {
	if len(given) == 0 {
		return nil
	}
	study, err := studyFlags{}.study(given[0], "")
	if err != nil {
		return nil
	}
	for _, change := range study.Changes {
		names = append(names, change.Name)
	}
	return names
}

func corpora(c *cobra.Command, given []string, begun string) []string {
	return append([]string{text.Default}, files(c, given, begun)...)
}

// models completes with the runs of the folder of runs, and folders elsewhere.
func models(c *cobra.Command, given []string, begun string) []string {
	found := holding(folderOfRuns(c), runs.ConfigFile)
	for _, dir := range folders(c, given, begun) {
		if !slices.Contains(found, strings.TrimSuffix(dir, "/")) {
			found = append(found, dir)
		}
	}
	return found
}

func runIDs(c *cobra.Command, given []string, _ string) (ids []string) {
	for _, dir := range holding(folderOfRuns(c), runs.ConfigFile) {
		if id := filepath.Base(dir); !slices.Contains(given, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// folderOfRuns is what --out says, where a command has it and it is not what is to be written.
func folderOfRuns(c *cobra.Command) string {
	if out := c.Flag("out"); out != nil && out.Value.String() != "" && c.Name() != "export" {
		return out.Value.String()
	}
	return "runs"
}

// holding lists the folders in root that hold a file of that name.
func holding(root, name string) (dirs []string) {
	found, _ := filepath.Glob(filepath.Join(root, "*", name)) // a root that is no pattern has no runs to offer
	for _, file := range found {
		dirs = append(dirs, filepath.Dir(file))
	}
	return dirs
}

func files(_ *cobra.Command, _ []string, begun string) []string { return entries(begun, true) }

func folders(_ *cobra.Command, _ []string, begun string) []string { return entries(begun, false) }

// entries lists what lies in the folder of a path that has begun, folders with a slash at their end.
func entries(begun string, files bool) (paths []string) {
	dir, name := filepath.Split(begun)
	found, _ := os.ReadDir(cmp.Or(dir, ".")) // what cannot be read has nothing to offer
	for _, entry := range found {
		info, err := os.Stat(filepath.Join(dir, entry.Name())) // through a link
		hidden := strings.HasPrefix(entry.Name(), ".") && !strings.HasPrefix(name, ".")
		switch {
		case err != nil || hidden:
		case info.IsDir():
			paths = append(paths, dir+entry.Name()+"/")
		case files:
			paths = append(paths, dir+entry.Name())
		}
	}
	return paths
}

// taskNames are the named sets, and files.
func taskNames(c *cobra.Command, given []string, begun string) (names []string) {
	for _, s := range tasks.Sets() {
		names = append(names, s.Name)
	}
	return append(names, files(c, given, begun)...)
}
