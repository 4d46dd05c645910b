// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// Whatever is accepted fills its data to the last byte and survives being written and read again.
func FuzzReader(f *testing.F) {
	python, err := os.ReadFile(pythonFile)
	if err != nil {
		f.Fatal(err)
	}
	for cut := 0; cut < len(python); cut += 16 {
		f.Add(python[:cut])
	}
	f.Add(python)
	f.Add(raw(`{"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  `, 2))
	f.Add(raw(`{"w":{"shape":[0,9223372036854775807],"dtype":"U8","data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2))
	f.Fuzz(func(t *testing.T, input []byte) {
		file, err := parse(bytes.NewReader(input), int64(len(input)), "fuzz")
		if err != nil {
			return
		}
		data, total := map[string][]byte{}, int64(0)
		for _, info := range file.Tensors() {
			size, err := info.Size()
			if err != nil {
				t.Fatal(err)
			}
			if total += size; total > int64(len(input)) {
				t.Fatalf("the tensors take %d bytes of a file of %d", total, len(input))
			}
			data[info.Name] = make([]byte, size)
			if err := file.Read(info.Name, data[info.Name]); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := Write(&out, file.Tensors(), file.Metadata(), from(data)); err != nil {
			t.Fatal(err)
		}
		again, err := parse(bytes.NewReader(out.Bytes()), int64(out.Len()), "again")
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range data {
			got := make([]byte, len(want))
			if err := again.Read(name, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("tensor %q changed: %v", name, err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const size = 16 << 20
	var out bytes.Buffer
	infos := []Info{{Name: "w", DType: "U8", Shape: []int{size}}}
	dst := make([]byte, size)
	if err := Write(&out, infos, nil, func(_ Info, w io.Writer) error { _, err := w.Write(dst); return err }); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		file, err := parse(bytes.NewReader(out.Bytes()), int64(out.Len()), "memory")
		if err != nil {
			b.Fatal(err)
		}
		if err := file.Read("w", dst); err != nil {
			b.Fatal(err)
		}
	}
}
