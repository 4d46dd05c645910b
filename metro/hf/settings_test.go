// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
)

func TestParseSettings(t *testing.T) {
	const small = `"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 4`
	for _, test := range []struct{ name, json, want string }{
		{"defaults", `{"model_type": "electra", "embedding_size": 4, ` + small + `}`, ""},
		{"BERT has no embedding size", `{"model_type": "bert", ` + small + `}`, ""},
		{"ELECTRA has one", `{"model_type": "electra", ` + small + `}`, "embedding_size must be there"},
		{"no id for padding", `{"model_type": "bert", "pad_token_id": null, ` + small + `}`, ""},
		{"role", `{"model_type": "electra", "embedding_size": 4, "metrolab": {"role": "both"}, ` + small + `}`, `metrolab.role is "both"`},
		{
			"norm", `{"model_type": "metro", "embedding_size": 4, "metrolab": {"role": "main", "norm": "mid"}, ` + small + `}`,
			`metrolab.norm is "mid"; ["post" "pre"] are known`,
		},
		{
			"bins", `{"model_type": "metro", "embedding_size": 4, "metrolab": {"role": "main", "norm": "pre", "rtd_head": "linear",
			"generator_head": "norm", "positions": {"relative": "t5", "bins": -3, "max_distance": 9}}, ` + small + `}`,
			"metrolab.positions has -3 bins up to distance 9",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := parseSettings([]byte(test.json))
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			e := s.encoder()
			require.Equal(t, metro.Encoder{
				Layers: 1, Width: 8, Heads: 2, FFN: 16, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu", Norm: metro.NormPost, Dropout: 0.1, Epsilon: 1e-12,
				Init: metro.InitTruncated, InitScale: metro.InitScaleNone,
			}, e)
			require.Equal(t, 2, s.TypeVocabSize)
		})
	}
}

// Whatever is accepted has a shape that the rest can rely on, and survives being written.
func FuzzSettings(f *testing.F) {
	for _, name := range []string{"electra/generator", "electra-odd/discriminator", "bert", "factors/discriminator"} {
		data, err := os.ReadFile(filepath.Join("testdata", name, settingsFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_type": "metro", "vocab_size": 9, "embedding_size": 1, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
		"intermediate_size": 16, "max_position_embeddings": 4, "metrolab": {"role": "main", "norm": "pre", "rtd_head": "linear",
		"generator_head": "plain", "positions": {"relative": "signed_log", "bins": 8, "max_distance": 9, "scale": 3}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSettings(data)
		if err != nil {
			return
		}
		e := s.encoder()
		if e.Width%e.Heads != 0 || e.Width < 1 || e.FFN < 1 || e.Activation == "" || e.Norm == "" {
			t.Fatalf("%+v", e)
		}
		again, err := parseSettings(s.json())
		if err != nil {
			t.Fatal(err)
		}
		if again.encoder() != e || len(again.products()) != len(s.products()) {
			t.Fatalf("%+v became %+v", s, again)
		}
	})
}
