// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// testdata/python.safetensors was written by the Python package safetensors 0.8.0 (numpy 2.4.6):
//
//	safetensors.numpy.save_file({"weight": arange(6, float32).reshape(2, 3), "ids": array([1, -2, 3], int64),
//	    "scale": array(0.5, float64), "empty": zeros((0, 4), uint8), 'naïve "quoted" <x>': array([True, False])},
//	    path, metadata={"format": "np", "note": "héllo"})
const pythonFile = "testdata/python.safetensors"

var pythonInfos = []Info{
	{Name: "ids", DType: "I64", Shape: []int{3}},
	{Name: "scale", DType: "F64", Shape: []int{}},
	{Name: "weight", DType: "F32", Shape: []int{2, 3}},
	{Name: "empty", DType: "U8", Shape: []int{0, 4}},
	{Name: `naïve "quoted" <x>`, DType: "BOOL", Shape: []int{2}},
}

func pythonData() map[string][]byte {
	weight := make([]byte, 0, 24)
	for i := range 6 {
		weight = binary.LittleEndian.AppendUint32(weight, math.Float32bits(float32(i)))
	}
	ids := make([]byte, 0, 24)
	for _, id := range []int64{1, -2, 3} {
		ids = binary.LittleEndian.AppendUint64(ids, uint64(id))
	}
	return map[string][]byte{
		"ids": ids, "weight": weight, "empty": {}, `naïve "quoted" <x>`: {1, 0},
		"scale": binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.5)),
	}
}

func from(data map[string][]byte) func(Info, io.Writer) error {
	return func(info Info, w io.Writer) error {
		_, err := w.Write(data[info.Name])
		return err
	}
}

func plain(infos []Info) []Info {
	for i := range infos {
		infos[i].offset = 0
	}
	return infos
}

func TestReadsWhatPythonWrote(t *testing.T) {
	file, err := Open(pythonFile)
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, pythonInfos, plain(file.Tensors()))
	require.Equal(t, map[string]string{"format": "np", "note": "héllo"}, file.Metadata())
	for name, want := range pythonData() {
		got := make([]byte, len(want))
		require.NoError(t, file.Read(name, got))
		require.Equal(t, want, got, name)
	}
}

func TestWritesTheBytesThatPythonWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.safetensors")
	meta := map[string]string{"note": "héllo", "format": "np"}
	require.NoError(t, WriteFile(path, pythonInfos, meta, from(pythonData())))
	want, err := os.ReadFile(pythonFile)
	require.NoError(t, err)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestRoundTrip(t *testing.T) {
	types := []string{"BOOL", "F8_E4M3", "BF16", "F32", "F64", "U64"}
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var infos []Info
		data := map[string][]byte{}
		for i := range rng.IntN(8) {
			info := Info{Name: fmt.Sprintf("t%d/\u2028<&>", i), DType: types[rng.IntN(len(types))], Shape: []int{}}
			for range rng.IntN(4) {
				info.Shape = append(info.Shape, rng.IntN(5))
			}
			size, err := info.Size()
			require.NoError(t, err)
			bytes := make([]byte, size)
			for j := range bytes {
				bytes[j] = byte(rng.Uint32())
			}
			infos, data[info.Name] = append(infos, info), bytes
		}
		var out, again bytes.Buffer
		require.NoError(t, Write(&out, infos, nil, from(data)))
		require.NoError(t, Write(&again, infos, nil, from(data)))
		require.Equal(t, out.Bytes(), again.Bytes())
		file, err := parse(bytes.NewReader(out.Bytes()), int64(out.Len()), "memory")
		require.NoError(t, err)
		require.Len(t, file.Tensors(), len(infos))
		for _, info := range infos {
			got := make([]byte, len(data[info.Name]))
			require.NoError(t, file.Read(info.Name, got))
			require.Equal(t, data[info.Name], got)
			found, ok := file.Lookup(info.Name)
			require.True(t, ok)
			require.Equal(t, info, plain([]Info{found})[0])
		}
	}
}

// raw builds a file from a header text and data, right or wrong.
func raw(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func one(fields string) string { return `{"w":{` + fields + `}}` }

func TestStrictReader(t *testing.T) {
	good := one(`"dtype":"F32","shape":[2],"data_offsets":[0,8]`)
	cases := map[string]struct {
		file []byte
		want string
	}{
		"empty file":           {nil, "0 bytes are too few"},
		"seven bytes":          {make([]byte, 7), "7 bytes are too few"},
		"length beyond file":   {[]byte{9, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, "claims 9 bytes, but the file has 2"},
		"huge length":          {bytes.Repeat([]byte{255}, 16), "claims 18446744073709551615 bytes"},
		"zero length":          {raw("", 0), "does not begin with {"},
		"leading space":        {raw(" "+good, 8), "does not begin with {"},
		"array":                {raw("[]", 0), "does not begin with {"},
		"not UTF-8":            {raw("{\"\xff\":1}", 0), "not UTF-8"},
		"cut JSON":             {raw(`{"w":{"dtype":"F32"`, 0), "unexpected EOF"},
		"bytes after JSON":     {raw(good+"\n{}", 8), "followed by 3 more bytes"},
		"duplicate tensor":     {raw(`{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), `"w" stands there twice`},
		"duplicate escaped":    {raw(`{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0077":{}}`, 0), `"w" stands there twice`},
		"duplicate field":      {raw(one(`"dtype":"U8","dtype":"F32","shape":[2],"data_offsets":[0,8]`), 8), `"dtype" stands there twice`},
		"duplicate metadata":   {raw(`{"__metadata__":{"a":"b","a":"c"}}`, 0), `"a" stands there twice`},
		"metadata twice":       {raw(`{"__metadata__":{},"__metadata__":{}}`, 0), "stands there twice"},
		"metadata not text":    {raw(`{"__metadata__":{"a":1}}`, 0), `"1" where a text should be`},
		"metadata not object":  {raw(`{"__metadata__":"a"}`, 0), `"a" where "{" should be`},
		"tensor not object":    {raw(`{"w":null}`, 0), `where "{" should be`},
		"unknown field":        {raw(one(`"dtype":"F32","Shape":[2],"data_offsets":[0,8]`), 8), `unknown field "Shape"`},
		"missing dtype":        {raw(one(`"shape":[2],"data_offsets":[0,8]`), 8), "are needed"},
		"missing shape":        {raw(one(`"dtype":"F32","data_offsets":[0,4]`), 4), "are needed"},
		"missing offsets":      {raw(one(`"dtype":"F32","shape":[0]`), 0), "are needed"},
		"unknown dtype":        {raw(one(`"dtype":"F33","shape":[2],"data_offsets":[0,8]`), 8), `type "F33"; known are BF16, BOOL`},
		"negative axis":        {raw(one(`"dtype":"F32","shape":[-2],"data_offsets":[0,8]`), 8), `"-2" is not a whole number`},
		"fraction":             {raw(one(`"dtype":"F32","shape":[2.0],"data_offsets":[0,8]`), 8), `"2.0" is not a whole number`},
		"axis as text":         {raw(one(`"dtype":"F32","shape":["2"],"data_offsets":[0,8]`), 8), `"2" is not a whole number`},
		"nested shape":         {raw(one(`"dtype":"F32","shape":[[2]],"data_offsets":[0,8]`), 8), `"[" is not a whole number`},
		"axis beyond int64":    {raw(one(`"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]`), 8), "is not a whole number"},
		"overflowing product":  {raw(one(`"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]`), 0), "too large for any file"},
		"overflow then zero":   {raw(one(`"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]`), 0), "too large for any file"},
		"65 axes":              {raw(one(`"dtype":"F32","shape":[`+strings.Repeat("1,", 64)+`1],"data_offsets":[0,4]`), 4), "more than 64 numbers"},
		"one offset":           {raw(one(`"dtype":"F32","shape":[2],"data_offsets":[0]`), 8), "holds 1 numbers, not 2"},
		"three offsets":        {raw(one(`"dtype":"F32","shape":[2],"data_offsets":[0,8,9]`), 8), "more than 2 numbers"},
		"size mismatch":        {raw(one(`"dtype":"F32","shape":[3],"data_offsets":[0,8]`), 8), "has bytes 0 to 8, but F32 of shape [3] takes 12"},
		"reversed offsets":     {raw(one(`"dtype":"F32","shape":[2],"data_offsets":[0,0]`), 8), "has bytes 0 to 0"},
		"hole at the start":    {raw(one(`"dtype":"F32","shape":[2],"data_offsets":[8,16]`), 16), "begins at byte 8 of the data, where the tensors before it end at 0"},
		"data missing":         {raw(good, 7), "ends at byte 8 of the data, which has 7"},
		"data left over":       {raw(good, 9), "end at byte 8 of the data, which has 9"},
		"overlap":              {raw(`{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}`, 12), `"b" begins at byte 4`},
		"same bytes twice":     {raw(`{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}`, 8), `"b" begins at byte 0`},
		"hole between":         {raw(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}`, 9), `"b" begins at byte 5`},
		"empty inside another": {raw(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}`, 4), `"b" begins at byte 2`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.safetensors")
			require.NoError(t, os.WriteFile(path, c.file, 0o600))
			_, err := Open(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
		})
	}
	for name, file := range map[string][]byte{"good": raw(good, 8), "padded": raw(good+"     ", 8), "no tensors": raw("{}", 0)} {
		_, err := parse(bytes.NewReader(file), int64(len(file)), name)
		require.NoError(t, err, name)
	}
}

// A header that spends 4 MB on one name or one number is answered with a short sentence.
func TestHostileTextsStayOutOfTheMessage(t *testing.T) {
	long := strings.Repeat("9", 4<<20)
	for _, header := range []string{`{"` + long + `":1}`, one(`"shape":[` + long + `]`), one(`"dtype":"` + long + `","shape":[1],"data_offsets":[0,1]`)} {
		file := raw(header, 1)
		_, err := parse(bytes.NewReader(file), int64(len(file)), "memory")
		require.Error(t, err)
		require.Less(t, len(err.Error()), 400)
	}
}

func TestTooManyNames(t *testing.T) {
	var header strings.Builder
	header.WriteString(`{"__metadata__":{`)
	for i := range maxMembers + 1 {
		fmt.Fprintf(&header, `"%x":"",`, i)
	}
	file := raw(header.String(), 0)
	_, err := parse(bytes.NewReader(file), int64(len(file)), "memory")
	require.ErrorContains(t, err, "more than 262144 names")
}

func TestOpenAndReadErrors(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")

	file, err := Open(pythonFile)
	require.NoError(t, err)
	defer file.Close()
	require.ErrorContains(t, file.Read("wieght", nil), `no tensor "wieght" among 5`)
	require.ErrorContains(t, file.Read("weight", make([]byte, 23)), "takes 24 bytes, the buffer has 23")
	_, ok := file.Lookup("wieght")
	require.False(t, ok)
	_, err = file.Reader("wieght")
	require.ErrorContains(t, err, `no tensor "wieght" among 5`)
}

// In passing come the same bytes, and no more.
func TestReader(t *testing.T) {
	file, err := Open(pythonFile)
	require.NoError(t, err)
	defer file.Close()
	for _, info := range file.Tensors() {
		reader, err := file.Reader(info.Name)
		require.NoError(t, err)
		passed, err := io.ReadAll(reader)
		require.NoError(t, err)
		whole := make([]byte, reader.Size())
		require.NoError(t, file.Read(info.Name, whole))
		require.Equal(t, whole, passed)
	}
}

func TestFileCutAfterOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cut.safetensors")
	require.NoError(t, WriteFile(path, pythonInfos, nil, from(pythonData())))
	file, err := Open(path)
	require.NoError(t, err)
	defer file.Close()
	stat, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, stat.Size()-20))
	err = file.Read("weight", make([]byte, 24))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, `tensor "weight", 24 bytes from byte`)
}

func TestWriteErrors(t *testing.T) {
	w := Info{Name: "w", DType: "U8", Shape: []int{4}}
	give := func(n int) func(Info, io.Writer) error {
		return func(_ Info, out io.Writer) error { _, err := out.Write(make([]byte, n)); return err }
	}
	cases := map[string]struct {
		infos []Info
		data  func(Info, io.Writer) error
		want  string
	}{
		"repeated":     {[]Info{w, w}, give(4), `"w" is repeated`},
		"reserved":     {[]Info{{Name: "__metadata__", DType: "U8"}}, give(1), "reserved"},
		"not UTF-8":    {[]Info{{Name: "\xff", DType: "U8"}}, give(1), "not UTF-8"},
		"unknown type": {[]Info{{Name: "w", DType: "f32"}}, give(4), `type "f32"; known are`},
		"negative":     {[]Info{{Name: "w", DType: "U8", Shape: []int{3, -1}}}, give(4), "length -1 on axis 1"},
		"overflow":     {[]Info{{Name: "a", DType: "U8", Shape: []int{math.MaxInt}}, w}, give(4), "beyond the largest file"},
		"too few":      {[]Info{w}, give(3), "1 of its 4 bytes are missing"},
		"too many":     {[]Info{w}, give(5), "5 bytes come where 4 are left"},
		"source fails": {[]Info{w}, func(Info, io.Writer) error { return io.ErrClosedPipe }, "closed pipe"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "w.safetensors")
			require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
			err := WriteFile(path, c.infos, nil, c.data)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "no temporary file stays")
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "before", string(kept))
		})
	}
}

func TestMetadataMustBeText(t *testing.T) {
	err := Write(io.Discard, nil, map[string]string{"note": "\xff"}, nil)
	require.ErrorContains(t, err, `metadata "note"`)
}

// fullDisk takes room bytes and then says that there is no space.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestFullDiskAtEveryByte(t *testing.T) {
	var whole bytes.Buffer
	require.NoError(t, Write(&whole, pythonInfos, nil, from(pythonData())))
	for room := range whole.Len() {
		err := Write(&fullDisk{room: room}, pythonInfos, nil, from(pythonData()))
		require.True(t, errors.Is(err, syscall.ENOSPC), "room for %d of %d bytes: %v", room, whole.Len(), err)
	}
	require.NoError(t, Write(&fullDisk{room: whole.Len()}, pythonInfos, nil, from(pythonData())))
}

func TestAPointerIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, os.WriteFile(path, []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"), 0o666))
	_, err := Open(path)
	require.ErrorContains(t, err, "git lfs pull fetches it")
}
