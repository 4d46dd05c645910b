// SPDX-License-Identifier: Apache-2.0

package subword

import "metrolab/metro/tokens"

func init() {
	for _, model := range []string{"BPE", "Unigram"} {
		tokens.Register(tokens.Format{
			Model:      model,
			Load:       func(path string) (tokens.Tokenizer, error) { return Load(path) },
			LoadFolder: func(dir string) (tokens.Tokenizer, error) { return LoadFolder(dir) },
		})
	}
}
