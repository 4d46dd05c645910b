// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/recipes"
)

// completions asks as the shell does, with the last word as what has begun.
func (l lab) completions(line ...string) (offers []string, directive string) {
	l.t.Helper()
	stdout, said, code := l.inProcess(l.t.Context(), append([]string{"__complete"}, line...)...)
	require.Equal(l.t, exitDone, code, said)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// The shell completes flags' values and commands' words.
func TestCompletion(t *testing.T) {
	l := newLab(t)
	for _, file := range []string{"runs/tiny-0123456789/config.json", "runs/quickstart/study.json", "elsewhere/micro-0123456789/config.json", "notes.txt"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(l.dir, file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, file), []byte("{}"), 0o600))
	}
	for line, want := range map[string]string{
		"pretrain --recipe m":                              "micro mini metro-base metro-base++ metro-large metro-large++",
		"pretrain --recipe=m":                              "micro mini metro-base metro-base++ metro-large metro-large++",
		"pretrain --backend x":                             "xla xla:cpu xla:cuda",
		"pretrain --set objective.rtd_w":                   "objective.rtd_weight=",
		"pretrain --set masking.rule=8":                    "masking.rule=85/15/0 masking.rule=80/10/10",
		"pretrain --set data.lowercase=":                   "data.lowercase=false data.lowercase=true",
		"pretrain --set sharing=token_":                    "sharing=token_position sharing=token_position_norm",
		"ablate run quickstart --set positions.relative=n": "positions.relative=none",
		"recipe show electra-small --set generator.si":     "generator.size=",
		"bench s":                                           "scale step",
		"bench step --recipe el":                            "electra-small electra-base electra-large",
		"bench step --recipe electra-small@5":               "electra-small@512",
		"bench step --recipe tiny,mi":                       "tiny,micro tiny,mini",
		"bench scale --axis wi":                             "width",
		"bench compare no":                                  "notes.txt",
		"finetune --model ru":                               "runs/tiny-0123456789 runs/",
		"predict --model runs/t":                            "runs/tiny-0123456789",
		"pretrain --out elsewhere --init-from elsewhere/m":  "elsewhere/micro-0123456789",
		"pretrain --resume runs/t":                          "runs/tiny-0123456789",
		"export --model runs/tiny-0123456789 --out e":       "elsewhere/",
		"pretrain --corpus n":                               "notes.txt",
		"pretrain --corpus g":                               "godoc",
		"data show ":                                        "godoc elsewhere/ notes.txt runs/ text.txt",
		"ablate run q":                                      "quickstart",
		"ablate report ":                                    "runs/quickstart",
		"ablate run quickstart --arm RTD":                   "RTD weight 10",
		"recipe show ti":                                    "tiny",
		"runs rm ":                                          "tiny-0123456789",
		"runs --out elsewhere diff ":                        "micro-0123456789",
		"runs rm tiny-0123456789 ":                          "",
		"pretrain --seed ":                                  "",
		"ablate run quickstart ":                            "",
		"predict --model runs/tiny-0123456789 --input no":   "notes.txt",
		"finetune --model runs/tiny-0123456789 --data text": "text.txt",
		"help rec":                                          "recipe",
		"recip":                                             "recipe",
	} {
		t.Run(line, func(t *testing.T) {
			offers, directive := l.completions(strings.Split(line, " ")...)
			for i, offered := range offers {
				offers[i], _, _ = strings.Cut(offered, "\t") // then comes a description
			}
			require.Equal(t, want, strings.Join(offers, " "))
			if !strings.HasPrefix(line, "help") {
				require.NotEqual(t, ":0", directive, "the shell would offer any file")
			}
		})
	}
	offers, _ := l.completions("pretrain", "--set", "")
	tiny := recipes.Tiny()
	for _, path := range tiny.Paths() {
		require.Contains(t, offers, path+"=")
	}
	for path, values := range metro.Choices() {
		offers, _ := l.completions("pretrain", "--set", path+"=")
		for _, value := range values {
			require.Contains(t, offers, path+"="+value)
		}
	}
	for words, c := range leaves() {
		for _, flag := range valued(c) {
			_, directive := l.completions(append(strings.Fields(words), "--"+flag, "")...)
			require.NotEqual(t, ":0", directive, "%s --%s", words, flag)
		}
	}
}
