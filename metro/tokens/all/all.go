// SPDX-License-Identifier: Apache-2.0

// Package all registers every tokenizer that ships with the project. It is imported for that alone, by whatever reads
// tokenizers that it does not know beforehand.
package all

import (
	_ "metrolab/metro/tokens/subword"
	_ "metrolab/metro/tokens/wordpiece"
)
