// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Hash is of the names, shapes and values of all weights, in their order: sources with equal hashes are equal, wherever they
// lie.
func Hash(src Source) (string, error) {
	sum := sha256.New()
	for _, t := range src.Tensors() {
		fmt.Fprintln(sum, t.Name, "F32", t.Shape)
		values := make([]float32, t.Size())
		if err := src.Read(t.Name, values); err != nil {
			return "", err
		}
		if err := binary.Write(sum, binary.LittleEndian, values); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
