// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"metrolab/internal/bounded"
)

// File is an open safetensors file whose header was found to be right. It may be read from many goroutines.
type File struct {
	path     string
	data     io.ReaderAt
	close    func() error
	tensors  []Info
	byName   map[string]int
	metadata map[string]string
}

// Open reads and checks the header of a file and leaves the tensors where they are.
func Open(path string) (*File, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("open weights: %s is not a regular file", path)
	}
	handle, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	file, err := parse(handle, stat.Size(), path)
	if err != nil {
		_ = handle.Close()
		return nil, err
	}
	file.close = handle.Close
	return file, nil
}

func parse(data io.ReaderAt, size int64, path string) (*File, error) {
	var prefix [8]byte
	if size < 8 {
		return nil, fmt.Errorf("weights %s: %d bytes are too few for a safetensors file", path, size)
	}
	if _, err := data.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	head := make([]byte, min(size, int64(bounded.PointerBytes)))
	if _, err := data.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	if err := bounded.ErrPointer(path, string(head)); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > MaxHeader || int64(length) > size-8 {
		return nil, fmt.Errorf("weights %s: the header claims %d bytes, but the file has %d and the format allows %d: it is damaged or no safetensors file", path, length, size-8, MaxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(data, 8, int64(length)), text); err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	dataStart := 8 + int64(length)
	tensors, metadata, err := parseHeader(text, dataStart, size-dataStart)
	if err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	byName := make(map[string]int, len(tensors))
	for i, info := range tensors {
		byName[info.Name] = i
	}
	return &File{path: path, data: data, tensors: tensors, byName: byName, metadata: metadata}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.close() }

// Tensors returns all tensors in the order in which they lie in the file.
func (f *File) Tensors() []Info { return slices.Clone(f.tensors) }

// Metadata returns the free texts of the header, empty if there are none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Lookup finds a tensor by name.
func (f *File) Lookup(name string) (Info, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, false
	}
	return f.tensors[i], true
}

// Read fills dst with the bytes of the named tensor. The length of dst must be the tensor's [Info.Size].
func (f *File) Read(name string, dst []byte) error {
	section, err := f.Reader(name)
	if err != nil {
		return err
	}
	if int64(len(dst)) != section.Size() {
		return fmt.Errorf("weights %s: tensor %q takes %d bytes, the buffer has %d", f.path, name, section.Size(), len(dst))
	}
	if _, err := io.ReadFull(section, dst); err != nil {
		_, from, size := section.Outer()
		return fmt.Errorf("weights %s: tensor %q, %d bytes from byte %d: %w", f.path, name, size, from, err)
	}
	return nil
}

// Reader gives the bytes of the named tensor in passing, for a caller that turns them into something else as they come.
func (f *File) Reader(name string) (*io.SectionReader, error) {
	info, ok := f.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("weights %s: no tensor %.80q among %d", f.path, name, len(f.tensors))
	}
	size, err := info.Size()
	if err != nil {
		return nil, fmt.Errorf("weights %s: %w", f.path, err)
	}
	return io.NewSectionReader(f.data, info.offset, size), nil
}
