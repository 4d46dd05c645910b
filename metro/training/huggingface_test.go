// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/training"
)

// exported writes a run as a pair of Hugging Face folders.
func exported(t *testing.T, result training.Result) (dir string) {
	t.Helper()
	p, err := training.LoadPretrained(result.Run.Dir)
	require.NoError(t, err)
	dir = filepath.Join(t.TempDir(), "pair")
	_, err = p.Export(dir)
	require.NoError(t, err)
	return dir
}

// A run that begins with a folder has the weights that a run has which begins with the run that the folder is of, all or the
// generator's alone; what does not fit is refused in the same words.
func TestOriginsThatAreFolders(t *testing.T) {
	source := trained(t)
	old, _ := checkpointed(t, source.Run)
	dir := exported(t, source)
	next := trained(t, still(dir, "seed=5")...)
	weights, _ := checkpointed(t, next.Run)
	require.Equal(t, old, weights)
	require.Equal(t, line(t, source.Metrics), line(t, next.Metrics))

	for _, generator := range []string{dir, filepath.Join(dir, "generator")} {
		weights, _ = checkpointed(t, trained(t, frozenBy(generator, "main.norm=pre")...).Run)
		want, _ := checkpointed(t, trained(t, frozenBy(source.Run.Dir, "main.norm=pre")...).Run)
		for name, v := range want {
			if strings.HasPrefix(name, "generator.") {
				require.Equal(t, v, weights[name], name)
			}
		}
	}

	require.Contains(t, refused(t, "training.init_from="+dir, "main.layers=2"),
		dir+" holds another model than the config asks for: main.layers is 1 there and 2 in the config")
	require.Contains(t, refused(t, "training.init_from="+dir, "sharing=token_position_norm"), "sharing is token_position there and token_position_norm in the config")
	main := filepath.Join(dir, "discriminator")
	require.Contains(t, refused(t, "training.init_from="+main), main+" has no generator. A main model that learned")
	require.Contains(t, refused(t, frozenBy(main)...), main+" has no generator; name the folder")
	require.Contains(t, refused(t, "training.init_from="+filepath.Join(dir, "generator")), "holds a generator alone, and this takes a main model")
}
