// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes/float16"

	"metrolab/internal/atomicfile"
	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// Export writes the models of src into dir, which must not be there yet, or be empty: the main model into the folder
// discriminator (main, if it has no RTD head) and the generator, if there is one, into the folder generator, each with
// config.json, model.safetensors and the files of tokenizer t. Embedding tables that the two share are written into both,
// and those that are sums are added up. dir appears all or nothing.
//
// The heads that src has are written, and only those. What ELECTRA has no place for makes a folder's model_type "metro";
// notes say, in a sentence each, why that was so and which tensors were left out. Matrices that src has as factors are multiplied;
// see [ExportFactors].
func Export(dir string, t tokens.Tokenizer, src weights.Source) (notes []string, err error) {
	return export(dir, t, src, nil, full)
}

// ExportHalf is [Export] in half precision: each weight is rounded to 16 bits (IEEE's binary16, of 10 bits of mantissa), and
// model.safetensors is half as large. transformers reads it too. A weight above 65,504, the greatest of these numbers, is the
// user's error.
func ExportHalf(dir string, t tokens.Tokenizer, src weights.Source) (notes []string, err error) {
	return export(dir, t, src, nil, half)
}

// precision is how a number is written.
type precision struct {
	dtype  string
	append func(raw []byte, x float32) []byte
	most   float64 // greatest number
}

var (
	full = precision{"F32", func(raw []byte, x float32) []byte { return binary.LittleEndian.AppendUint32(raw, math.Float32bits(x)) }, math.Inf(1)}
	half = precision{"F16", func(raw []byte, x float32) []byte {
		return binary.LittleEndian.AppendUint16(raw, float16.FromFloat32(x).Bits())
	}, 65504}
)

// export writes those tensors of src that are in slices as factors.
func export(dir string, t tokens.Tokenizer, src weights.Source, slices map[string]weights.Slice, as precision) (notes []string, err error) {
	shapes := weights.Shapes(src)
	parts, err := planExport(src.Model().Config, t, shapes, slices)
	if err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	err = atomicfile.WriteDir(dir, func(temp string) error {
		for _, p := range parts {
			if err := p.write(filepath.Join(temp, p.name), t, src, as); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("export to %s: %w", dir, err)
	}
	for _, p := range parts {
		if note := p.settings.Metrolab; note != nil && note.Note != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", p.name, note.Note))
		}
		for _, j := range p.joints {
			delete(shapes, j.ours)
			delete(shapes, j.plus)
		}
	}
	if left := leftOut(shapes); left != "" {
		notes = append(notes, left)
	}
	return notes, nil
}

func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usererr.New("cannot export to %s: %w", dir, err)
	case len(entries) > 0:
		return usererr.New("cannot export to %s: it is there and not empty; name a new folder", dir)
	}
	return nil
}

func leftOut(shapes map[string][]int) string {
	if len(shapes) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(shapes))
	return fmt.Sprintf("%d tensors have no place in a folder and were left out, such as %s", len(names), strings.Join(names[:min(3, len(names))], ", "))
}

func (o outgoing) write(dir string, t tokens.Tokenizer, src weights.Source, as precision) error {
	if err := t.SaveFolder(dir, o.settings.MaxPositions); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, settingsFile), o.settings.json(), 0o666); err != nil {
		return err
	}
	infos, byName := []safetensors.Info(nil), map[string]joint{}
	for _, j := range o.whole() {
		infos = append(infos, safetensors.Info{Name: j.theirs, DType: as.dtype, Shape: j.theirShape()})
		byName[j.theirs] = j
	}
	more, factors := o.factors()
	// transformers wants to be told that the tensors are PyTorch's.
	return safetensors.WriteFile(filepath.Join(dir, weightsFile), append(infos, more...), map[string]string{"format": "pt"}, func(info safetensors.Info, w io.Writer) error {
		if values, ok := factors[info.Name]; ok {
			return as.write(w, len(values), func(i int) float32 { return float32(values[i]) })
		}
		return byName[info.Name].write(w, src, as)
	})
}

func (j joint) write(w io.Writer, src weights.Source, as precision) error {
	values := make([]float32, elements(j.shape))
	if j.ours != "" {
		if err := src.Read(j.ours, values); err != nil {
			return err
		}
	}
	if j.plus != "" {
		more := make([]float32, len(values))
		if err := src.Read(j.plus, more); err != nil {
			return err
		}
		for i, x := range more {
			values[i] += x
		}
	}
	if !j.transposed {
		return as.write(w, len(values), func(i int) float32 { return values[i] })
	}
	rows, columns := j.sides()
	size := rows * columns
	return as.write(w, len(values), func(i int) float32 {
		first, i := i/size*size, i%size
		return values[first+i%rows*columns+i/rows]
	})
}

// write writes n numbers, little-endian.
func (p precision) write(w io.Writer, n int, at func(int) float32) error {
	buffer := make([]byte, 0, 4*chunk)
	for i := range n {
		x := at(i)
		if math.Abs(float64(x)) > p.most {
			return usererr.New("a weight of %g is beyond %g, the greatest number of half precision; write it in full", x, p.most)
		}
		buffer = p.append(buffer, x)
		if len(buffer) == cap(buffer) || i == n-1 {
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
	}
	return nil
}
