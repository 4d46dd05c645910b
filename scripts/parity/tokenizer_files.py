#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixtures of metro/tokens/subword and prints the digest of TestCharacters.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
    venv/bin/python scripts/parity/tokenizer_files.py

hf.golden.jsonl.gz: small tokenizers of many kinds, with the ids, offsets, decoded text, pairs and truncations that the library
gives awkward lines. spm.golden.jsonl.gz: small SentencePiece models, with the ids that sentencepiece gives.
"""
import base64
import gzip
import hashlib
import io
import json
import os
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "metro", "tokens", "subword", "testdata")
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
SENTENCES = [
    "The generator writes plausible words into a text, and the main model finds the words that it wrote.",
    "A model that is asked about every token learns from every token, which is why replaced token detection is cheap.",
    "Words like unhappiness, happiness, unhappy and happy share their pieces; so do learn, learned, learning and learner.",
    "In 1957 there were 3,141 of them, and in 2024 about 59,000: don't count the padding, it's neither replaced nor original.",
    "When the generator grows too strong, its words are hard to find, and the main model learns slowly.",
    "Ångström, naïve café, Straße, Übermut, Ελλάδα, Россия, İstanbul, Việt Nam, 한국어, 日本語, हिन्दी.",
    "She lives in New York, he'll go to San Francisco; we've seen a cat, they'd seen the cats.",
]
NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def lines():
    rng = random.Random(7)
    nfd = normalizers.NFD()
    parts = [c for c in POINTS if nfd.normalize_str(chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
    nfkd = normalizers.NFKD()
    compatible = [c for c in POINTS if nfkd.normalize_str(chr(c)) != nfd.normalize_str(chr(c))]
    moving = [c for c in POINTS if c > 0x7F and nfd.normalize_str(chr(c) + "\u0334")[0] == "\u0334"]
    pool = [
        (40, "abcdefghinorstuABCT0123.,'!#<- "),
        (15, " \t\n\v\r\x85\xa0\u1680\u2003\u2028\u3000\0\ufffd\xad\u200b\u200d\ufeff"),
        (10, [chr(c) for c in moving]),
        (10, [chr(c) for c in parts] + ["\uac00", "\uac01", "\u1100", "\u1161", "\u11a8"] * 20),
        (10, [chr(c) for c in compatible]),
        (5, [chr(c) for c in POINTS if 0x80 <= c < 0x30000]),
        (5, "\u0130\u212a\u03a3\u1e9e\u0344\u0340\u302e\U0001d165\ufb01\u2581\u0120"),
        (10, ["<mask>", " <mask>", "<mask> ", "<s>", "<pad>", "</s>", "New York", "new york", "cat", " cat ", "cats", "``"]),
        (20, ["the", " words", "ing", " don't", " we'll", "  ", "word ", "é", "e\u0301", "👍🏽", "👩\u200d👩\u200d👧", "१२", "Straße"]),
    ]
    out = SENTENCES + ["", " ", "  ", "\n", "a", "<mask>", " <mask>  <mask>", "<s></s>", "\u0301", "e\u0301\u0323", "x" * 300, "▁", "▁▁ a", "Hello  world \n\n  yes\t\tno  "]
    for _ in range(36):
        kinds = rng.choices(pool, [w for w, _ in pool], k=rng.randint(1, 30))
        out.append("".join(rng.choice(k[1]) for k in kinds))
    return out


def digest():
    level, space = pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.WhitespaceSplit()
    word, digits, punctuation = pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()
    marks = normalizers.StripAccents()
    pieces = lambda p, s: len(p.pre_tokenize_str(s))
    sum = hashlib.sha256()
    for c in map(chr, POINTS):
        kind = "l" if pieces(level, "a" + c) == 1 else "n" if pieces(level, "1" + c) == 1 else "s" if pieces(level, "!" + c) == 2 else "o"
        within = "a" + c + "a"
        line = [kind]
        line.append("w" if pieces(word, within) == 1 else "x")
        line.append("d" if pieces(digits, within) == 3 else "x")
        line.append("s" if pieces(space, within) == 2 else "x")
        line.append("m" if marks.normalize_str(c) == "" else "x")
        line.append("p" if pieces(punctuation, within) == 3 else "x")
        sum.update(("".join(line) + "\n").encode())
    print("characters", sum.hexdigest())


def template(tok, single, pair):
    return processors.TemplateProcessing(single, pair, [(n, tok.token_to_id(n)) for n in ("<s>", "</s>")])


def train(model, trainer, **steps):
    tok = Tokenizer(model)
    for name, step in steps.items():
        setattr(tok, name, step)
    tok.train_from_iterator(SENTENCES, trainer)
    return tok


def patched(tok, change):
    f = json.loads(tok.to_str())
    change(f)
    return Tokenizer.from_str(json.dumps(f))


def with_bytes(f):
    model = f["model"]
    model["byte_fallback"] = True
    names = ["<0x%02X>" % b for b in range(256)]
    if model["type"] == "BPE":
        model["vocab"].update({n: len(model["vocab"]) + i for i, n in enumerate(names)})
    else:
        model["vocab"] += [[n, -20.0] for n in names]


def named():
    """Yields tokenizers by name."""
    bpe = lambda **options: trainers.BpeTrainer(vocab_size=420, special_tokens=NAMES, show_progress=False, **options)
    uni = lambda: trainers.UnigramTrainer(vocab_size=260, special_tokens=NAMES, unk_token="<unk>", show_progress=False)
    extra = [AddedToken("<mask>", lstrip=True, special=True), AddedToken("New York", normalized=True), AddedToken("cat", single_word=True, normalized=False, rstrip=True)]

    tok = train(models.BPE(), bpe(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()), normalizer=normalizers.NFC(),
                pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel())
    tok.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tok.add_tokens(extra)
    yield "roberta", tok

    tok = train(models.BPE(ignore_merges=True), bpe(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
                pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                decoder=decoders.ByteLevel())
    tok.post_processor = processors.Sequence([processors.ByteLevel(add_prefix_space=False), template(tok, "<s> $A </s>", "<s> $A </s> $B:1 </s>:1")])
    yield "digits before bytes", tok

    tok = train(models.BPE(unk_token="<unk>", fuse_unk=True), bpe(), normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    tok.post_processor = template(tok, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    tok = patched(tok, with_bytes)
    tok.add_tokens(extra)
    yield "bytes where unknown", tok

    tok = train(models.BPE(unk_token="<unk>"), bpe(), normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]),
                pre_tokenizer=pre_tokenizers.Whitespace())
    tok.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    tok.add_tokens(extra)
    yield "words", tok

    tok = train(models.BPE(unk_token="<unk>", fuse_unk=True), bpe(), normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()]),
                pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]))
    tok.post_processor = template(tok, "<s> $A </s>", "<s> $A </s> $B:1 </s>:1")
    yield "split thrice", tok

    tok = train(models.Unigram(), uni(), pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
                normalizer=normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                                 normalizers.Replace(Regex(" {2,}"), " ")]), decoder=decoders.Metaspace())
    tok.post_processor = template(tok, "<s> $A </s>", "<s> $A </s> $B:1 </s>:1")
    tok.add_tokens(extra)
    yield "albert", tok

    tok = train(models.Unigram(), uni(), pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace(prepend_scheme="first"),
                normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFD(), normalizers.Strip(left=True, right=False)]))
    tok.post_processor = template(tok, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    tok = patched(tok, with_bytes)
    tok.add_tokens(extra)
    yield "first", tok


def spm(kind, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3), model_writer=model, model_type=kind, hard_vocab_limit=False,
        pad_id=3, user_defined_symbols=["<mask>"], minloglevel=2, character_coverage=1.0, num_threads=1, **options)
    return model.getvalue()


def spm_models():
    yield "unigram", spm("unigram", vocab_size=200)
    yield "bpe", spm("bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity")
    yield "bpe as it is", spm("bpe", vocab_size=300, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False)


def converted(model):
    """What Hugging Face's converter makes of an XLM-R-like model."""
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    tok = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], unk_id=proto.trainer_spec.unk_id))
    tok.normalizer = normalizers.Sequence([normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.add_special_tokens([AddedToken(n, special=True) for n in ("<unk>", "<s>", "</s>", "<pad>", "<mask>")])
    tok.post_processor = template(tok, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return tok


def golden(name, tok, texts):
    out = []
    for text in texts:
        e = tok.encode(text)
        out.append(dict(text=text, ids=e.ids, offsets=e.offsets, decoded=tok.decode(e.ids)))
    tok.no_truncation()
    file = json.loads(tok.to_str())
    if name == "precompiled":
        file["normalizer"]["normalizers"][0]["precompiled_charsmap"] = ""  # that of the model "unigram"
    pairs = []
    for first, second in [("", ""), ("the words", ""), (SENTENCES[0], SENTENCES[6]), ("a cat", SENTENCES[6]), (texts[30], texts[31])]:
        for limit, strategy, side in [(0, "longest_first", "right"), (5, "longest_first", "right"), (16, "longest_first", "right"), (17, "longest_first", "left"),
                                      (32, "only_first", "right"), (32, "only_second", "left")]:
            tok.no_truncation()
            if limit:
                tok.enable_truncation(limit, strategy=strategy, direction=side)
            try:
                e = tok.encode(first, second)
                got = dict(ids=e.ids, types=e.type_ids, offsets=e.offsets, texts=[0 if s is None else s + 1 for s in e.sequence_ids])
            except Exception:
                got = dict(refused=True)
            if limit:
                got["single"] = tok.encode(first).ids if strategy != "only_second" else None
            pairs.append(dict(first=first, second=second, limit=limit, strategy=strategy, left=side == "left", **got))
    return dict(name=name, file=file, lines=out, pairs=pairs)


def write(name, items):
    path = os.path.join(OUT, name)
    with gzip.GzipFile(path, "wb", mtime=0) as out:
        for item in items:
            out.write((json.dumps(item) + "\n").encode())
    print(path, os.path.getsize(path), "bytes")


def main():
    os.makedirs(OUT, exist_ok=True)
    texts, spms = lines(), dict(spm_models())
    tokenizers = list(named()) + [("precompiled", converted(spms["unigram"]))]
    write("hf.golden.jsonl.gz", (golden(name, tok, texts) for name, tok in tokenizers))

    def pieces(model):
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        return [dict(text=t, ids=sp.encode(t)) for t in texts if "\0" not in t]
    write("spm.golden.jsonl.gz", (dict(name=n, model=base64.b64encode(m).decode(), lines=pieces(m)) for n, m in spms.items()))
    digest()


main()
