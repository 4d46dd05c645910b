// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"embed"
	"strings"

	"metrolab/internal/usererr"
)

// A GPU is a chip that XLA compiles for, there or not. Rates are the dense peaks of NVIDIA's data sheets, in operations a second,
// a multiplication and an addition counting as two.
type GPU struct {
	Name      string  `json:"name"`      // as it is asked for
	Model     string  `json:"model"`     // the maker's name
	Memory    float64 `json:"memory"`    // bytes
	Bandwidth float64 `json:"bandwidth"` // of the memory, bytes a second
	BFloat16  float64 `json:"bfloat16"`  // peak of products of bfloat16, or of float16
	TF32      float64 `json:"tf32"`      // peak of products of float32 that are rounded to TF32
	Float32   float64 `json:"float32"`   // peak of float32
}

// GPUs lists the chips that [OpenAhead] knows.
func GPUs() []GPU {
	return []GPU{
		{"a100", "NVIDIA A100-SXM4-80GB", 85100068864, 2.039e12, 312e12, 156e12, 19.5e12},
		{"h100", "NVIDIA H100 80GB HBM3", 84942979072, 3.35e12, 989e12, 494.5e12, 67e12},
		{"h200", "NVIDIA H200 141GB HBM3e", 151397597184, 4.8e12, 989e12, 494.5e12, 67e12},
	}
}

// FindGPU returns the chip of that name; another name is the user's error.
func FindGPU(name string) (GPU, error) {
	var names []string
	for _, g := range GPUs() {
		if g.Name == name {
			return g, nil
		}
		names = append(names, g.Name)
	}
	return GPU{}, usererr.New("there is no target %q; there are %s", name, strings.Join(names, ", "))
}

//go:embed gpus/*.txtpb
var gpuFiles embed.FS

// description is the chip as XLA's compiler reads it, the text of a GpuTargetConfigProto.
func (g GPU) description() string {
	text, err := gpuFiles.ReadFile("gpus/" + g.Name + ".txtpb")
	if err != nil {
		panic(err) // a chip of the list without its file
	}
	return string(text)
}
