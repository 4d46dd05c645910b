// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"metrolab/internal/usererr"
)

// spm is what is read of a SentencePiece model, the protocol buffer ModelProto of sentencepiece_model.proto.
type spm struct {
	pieces     []spmPiece
	bpe        bool // else Unigram
	fallback   bool // byte_fallback
	charsMap   []byte
	dummy      bool // add_dummy_prefix
	trimSpaces bool // remove_extra_whitespaces
	escape     bool // escape_whitespaces
	suffix     bool // treat_whitespace_as_suffix
}

type spmPiece struct {
	text  string
	score float32
	kind  spmKind
}

// spmKind is the type of a piece.
type spmKind uint64

const (
	spmNormal spmKind = iota + 1
	spmUnknown
	spmControl
	spmUserDefined
	spmUnused
	spmByte
)

// readSPM reads a model. Fields that are not there have the values that the format gives them.
func readSPM(data []byte) (*spm, error) {
	m := &spm{dummy: true, trimSpaces: true, escape: true}
	err := eachField(data, func(n protowire.Number, v field) error {
		switch n {
		case 1:
			return m.addPiece(v.bytes)
		case 2: // trainer_spec
			return eachField(v.bytes, func(n protowire.Number, v field) error {
				switch n {
				case 3: // model_type
					if v.number != 1 && v.number != 2 {
						return usererr.New("its model is of type %d; only Unigram (1) and BPE (2) are supported", v.number)
					}
					m.bpe = v.number == 2
				case 24:
					m.suffix = v.number != 0
				case 35:
					m.fallback = v.number != 0
				}
				return nil
			})
		case 3: // normalizer_spec
			return eachField(v.bytes, func(n protowire.Number, v field) error {
				switch n {
				case 2:
					m.charsMap = v.bytes
				case 3:
					m.dummy = v.number != 0
				case 4:
					m.trimSpaces = v.number != 0
				case 5:
					m.escape = v.number != 0
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(m.pieces) == 0:
		return nil, usererr.New("it is no SentencePiece model: it has no pieces")
	case m.suffix:
		return nil, usererr.New("its treat_whitespace_as_suffix is set, which is not supported")
	case !m.escape:
		return nil, usererr.New("its escape_whitespaces is not set, which is not supported")
	}
	return m, nil
}

func (m *spm) addPiece(data []byte) error {
	p := spmPiece{kind: spmNormal}
	err := eachField(data, func(n protowire.Number, v field) error {
		switch n {
		case 1:
			p.text = string(v.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(v.number))
		case 3:
			p.kind = spmKind(v.number)
		}
		return nil
	})
	m.pieces = append(m.pieces, p)
	return err
}

// field is the value of a field: a number or bytes.
type field struct {
	number uint64
	bytes  []byte
}

// eachField calls f for every field of a message.
func eachField(message []byte, f func(protowire.Number, field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return usererr.New("it is no SentencePiece model: %w", protowire.ParseError(n))
		}
		message = message[n:]
		var v field
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(message)
			v.number = uint64(x)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return usererr.New("it is no SentencePiece model: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if err := f(number, v); err != nil {
			return err
		}
	}
	return nil
}

// byteName is how a vocabulary writes a byte.
func byteName(b int) string { return fmt.Sprintf("<0x%02X>", b) }
