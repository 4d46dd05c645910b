# SPDX-License-Identifier: Apache-2.0
"""Writes hard.golden.jsonl.gz beside itself and prints the digests of TestUnicode.

    python3 -m pip install tokenizers==0.23.3 && python3 golden.py

hard.golden.jsonl.gz: random lines of awkward characters under every setting of the normalizer, with the ids, offsets
and decoded text that the Python library gives them with tiny.tokenizer.json.
"""
import gzip
import hashlib
import itertools
import json
import os
import random

from tokenizers import Tokenizer, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def digests():
    """One line a code point: the code points it is normalized to, or the number of words it makes of "a" it "a"."""
    bert = normalizers.BertNormalizer
    for name, n in {
        "clean": bert(True, False, False, False),
        "ideographs": bert(False, True, False, False),
        "strip": bert(False, False, True, False),
        "lower": bert(False, False, False, True),
    }.items():
        lines = ("%d\t%s\n" % (c, " ".join(str(ord(r)) for r in n.normalize_str(chr(c)))) for c in POINTS)
        print(name, hashlib.sha256("".join(lines).encode()).hexdigest())
    split = pre_tokenizers.BertPreTokenizer()
    lines = ("%d\t%d\n" % (c, len(split.pre_tokenize_str("a%sa" % chr(c)))) for c in POINTS)
    print("words", hashlib.sha256("".join(lines).encode()).hexdigest())


def pools():
    nfd = normalizers.NFD()
    parts = [c for c in POINTS if nfd.normalize_str(chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
    moving = [c for c in POINTS if c > 0x7F and nfd.normalize_str(chr(c) + "\u0334")[0] == "\u0334"]
    return [
        (30, "abcdefgABCxyz019.,'!#[]<-"),
        (15, " \t\n\v\f\r\x85\xa0\u1680\u2003\u2028\u3000\0\ufffd\xad\u200b\ufeff"),
        (15, [chr(c) for c in moving]),
        (15, [chr(c) for c in parts] + ["\uac00", "\uac01", "\ud7a3"] * 20),
        (5, [chr(c) for c in POINTS if 0x80 <= c < 0x30000]),
        (5, "\u0130\u212a\u03a3\u1e9e\u0344\u0340\u302e\U0001d165\U00011938\u1734\u1885\ua9bd\u166d\U000111c9"),
        (5, [chr(c) for c in range(0x4E00, 0x4E10)]),
        (5, ["[MASK]", "[CLS]", "[SEP] ", "[PAD]", "[[UNK]]", " [MASK", "[mask]"]),
        (5, ["the", "and", "ing", "word", "don't", "é"]),
    ]


def golden():
    rng = random.Random(1)
    pool = pools()
    texts = ["", " ", "[MASK]", "[CLS][SEP] [PAD]", "a" * 100, "a" * 101, "\u0301", "İstanbul", "각각 é e\u0301"]
    for _ in range(40):
        kinds = rng.choices(pool, [w for w, _ in pool], k=rng.randint(1, 30))
        texts.append("".join(rng.choice(k[1]) for k in kinds))
    with open(os.path.join(HERE, "tiny.tokenizer.json"), encoding="utf-8") as f:
        base = json.load(f)
    with gzip.GzipFile(os.path.join(HERE, "hard.golden.jsonl.gz"), "wb", mtime=0) as out:
        flags = (True, False)
        for clean, chinese, strip, lower in itertools.product(flags, flags, (None, True, False), flags):
            setting = dict(clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower)
            base["normalizer"].update(setting)
            tok = Tokenizer.from_str(json.dumps(base))
            lines = []
            for text in texts:
                e = tok.encode(text)
                lines.append(dict(text=text, ids=e.ids, offsets=e.offsets, decoded=tok.decode(e.ids)))
            out.write((json.dumps(dict(normalizer=setting, lines=lines)) + "\n").encode())


golden()
digests()
