// SPDX-License-Identifier: Apache-2.0

package subword

import "metrolab/metro/tokens"

func init() {
	for model, vocabulary := range map[string]string{"BPE": "", "Unigram": spmName} {
		tokens.Register(tokens.Format{
			Model:      model,
			Vocabulary: vocabulary,
			Load:       func(path string) (tokens.Tokenizer, error) { return Load(path) },
			LoadFolder: func(dir string) (tokens.Tokenizer, error) { return LoadFolder(dir) },
		})
	}
}
