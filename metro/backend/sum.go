// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync"
)

var sums sync.Map // path → short sum: a plugin has hundreds of megabytes and stays what it is once loaded

// shortSum returns the first 12 hexadecimal digits of the file's SHA-256, or "unknown" if it cannot be read.
func shortSum(path string) string {
	if sum, ok := sums.Load(path); ok {
		return sum.(string)
	}
	sum := "unknown"
	if file, err := os.Open(path); err == nil {
		defer file.Close()
		hash := sha256.New()
		if _, err := io.Copy(hash, file); err == nil {
			sum = hex.EncodeToString(hash.Sum(nil))[:12]
		}
	}
	sums.Store(path, sum)
	return sum
}
