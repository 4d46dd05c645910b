// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"time"

	"metrolab/internal/atomicfile"
)

// TensorBoard returns the records of a log as an events file of TensorBoard: a scalar summary a step, with the metrics' keys as
// tags, at the time that began plus the record's "seconds". The file is a sequence of TFRecords
//
//	length (8 bytes), masked CRC-32C of it, data, masked CRC-32C of the data
//
// in little endian, whose data is an Event of event.proto: wall_time = 1 (double), step = 2 (int64), file_version = 3 (string) or
// summary = 5, of which value = 1 is repeated and has tag = 1 (string) and simple_value = 2 (float). Equal logs give equal bytes.
func TensorBoard(rows []Row, began time.Time) []byte {
	var file bytes.Buffer
	start := float64(began.UnixNano()) / 1e9
	tfRecord(&file, stringField(doubleField(nil, 1, start), 3, "brain.Event:2"))
	at := start
	for _, row := range rows {
		if seconds, ok := row.Values["seconds"]; ok {
			at = start + seconds
		}
		var summary []byte
		for _, key := range slices.Sorted(maps.Keys(row.Values)) {
			summary = bytesField(summary, 1, floatField(stringField(nil, 1, key), 2, float32(row.Values[key])))
		}
		event := varintField(doubleField(nil, 1, at), 2, uint64(row.Step))
		tfRecord(&file, bytesField(event, 5, summary))
	}
	return file.Bytes()
}

// WriteTensorBoard writes the run's log as an events file into a folder, in the place of one that it wrote before, and returns
// its path. TensorBoard shows each folder as a run.
func (r *Run) WriteTensorBoard(dir string) (path string, err error) {
	rows, err := r.ReadMetrics()
	if err != nil {
		return "", err
	}
	var began time.Time
	if attempts, err := r.Attempts(); err == nil && len(attempts) > 0 {
		began = attempts[0].Started
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return "", fmt.Errorf("write events: %w", err)
	}
	path = filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.%s", max(0, began.Unix()), r.ID))
	return path, atomicfile.WriteFile(path, TensorBoard(rows, began))
}

// tfRecord appends a TFRecord.
func tfRecord(file *bytes.Buffer, data []byte) {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	for _, part := range [][]byte{length, data} {
		file.Write(part)
		file.Write(binary.LittleEndian.AppendUint32(nil, maskedCRC(part)))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of TFRecords: a CRC-32C, turned and moved, so that data which holds checksums keeps good ones.
func maskedCRC(data []byte) uint32 {
	const delta = 0xa282ead8
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + delta
}

// The wire types of protocol buffers that events use.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func tag(message []byte, field, wire uint64) []byte {
	return binary.AppendUvarint(message, field<<3|wire)
}

func varintField(message []byte, field, value uint64) []byte {
	return binary.AppendUvarint(tag(message, field, wireVarint), value)
}

func doubleField(message []byte, field uint64, value float64) []byte {
	return binary.LittleEndian.AppendUint64(tag(message, field, wireFixed64), math.Float64bits(value))
}

func floatField(message []byte, field uint64, value float32) []byte {
	return binary.LittleEndian.AppendUint32(tag(message, field, wireFixed32), math.Float32bits(value))
}

func bytesField(message []byte, field uint64, value []byte) []byte {
	return append(binary.AppendUvarint(tag(message, field, wireBytes), uint64(len(value))), value...)
}

func stringField(message []byte, field uint64, value string) []byte {
	return bytesField(message, field, []byte(value))
}
