// SPDX-License-Identifier: Apache-2.0

// Package safetensors reads and writes model weights in the safetensors format, one tensor at a time.
//
// A file is an 8-byte little-endian length N, N bytes of JSON, and the tensors' bytes:
//
//	{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//
// Offsets count from the end of the JSON. Values are little-endian and row-major. [File.Read] gives a
// tensor's bytes, [File.Floats] its numbers as float32, whatever floating-point type they have.
//
// The reader is strict, since weights come from strangers: a header longer than 100 MB, more than 262 144 tensors, a
// duplicate name, an unknown type, a hole, an overlap, a shape whose size overflows or does not match its bytes, or a
// stray byte at the end is an error that names the file, the tensor and the numbers. What a hostile file can cost is
// bounded by its own size: the header is read only after its length was compared with the file's, and no tensor is
// read before it is asked for.
//
// The writer puts the tensors down in the order given and never holds more than the caller hands it. Equal input gives
// equal bytes.
package safetensors
