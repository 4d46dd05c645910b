// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The bytes are those of the format: a file of one record, written out field by field. scripts/parity/check_tensorboard.py reads
// a run's file with the Python package.
func TestTensorBoardsBytes(t *testing.T) {
	file := TensorBoard([]Row{{Step: 300, Values: Values{"loss": 0.5, "seconds": 2}}}, time.Unix(1000, 500_000_000))
	want := "" +
		"1800000000000000" + "a37f4b22" + // 24 bytes, and the checksum of that number
		"09" + hexDouble(1000.5) + "1a0d" + hex.EncodeToString([]byte("brain.Event:2"))
	require.Equal(t, want, hex.EncodeToString(file[:12+24]))
	second := file[12+24+4:]
	data := "09" + hexDouble(1002.5) + "10ac02" + "2a1d" +
		"0a0b" + "0a04" + hex.EncodeToString([]byte("loss")) + "15" + "0000003f" +
		"0a0e" + "0a07" + hex.EncodeToString([]byte("seconds")) + "15" + "00000040"
	require.Equal(t, data, hex.EncodeToString(second[12:len(second)-4]))
	require.Equal(t, uint64(len(data)/2), uint64(second[0]))
}

func hexDouble(x float64) string {
	bits, bytes := math.Float64bits(x), make([]byte, 8)
	for i := range bytes {
		bytes[i] = byte(bits >> (8 * i))
	}
	return hex.EncodeToString(bytes)
}

// The check value of CRC-32C over "123456789" is 0xe3069283; masked it is turned by 15 bits and moved.
func TestMaskedCRC(t *testing.T) {
	crc, delta := uint32(0xe3069283), uint32(0xa282ead8)
	require.Equal(t, (crc>>15|crc<<17)+delta, maskedCRC([]byte("123456789")))
}
