// SPDX-License-Identifier: Apache-2.0

package safetensors_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"metrolab/internal/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "safetensors")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	infos := []safetensors.Info{{Name: "embeddings.weight", DType: "F32", Shape: []int{2, 2}}}
	err = safetensors.WriteFile(path, infos, map[string]string{"format": "pt"}, func(_ safetensors.Info, w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, []float32{1, 2, 3, 4})
	})
	if err != nil {
		panic(err)
	}

	file, err := safetensors.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	for _, info := range file.Tensors() {
		bytes := make([]byte, 16)
		if err := file.Read(info.Name, bytes); err != nil {
			panic(err)
		}
		var values [4]float32
		if _, err := binary.Decode(bytes, binary.LittleEndian, &values); err != nil {
			panic(err)
		}
		fmt.Println(info.Name, info.DType, info.Shape, values)
	}
	// Output: embeddings.weight F32 [2 2] [1 2 3 4]
}
