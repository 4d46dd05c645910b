#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hugging Face's tokenizers on metrolab's tokenizer file.

    tokenizerpeer.py TASK

TASK is a folder with tokenizer.json and texts.json, a list of texts. A step encodes all of them, as ids without places, which is
the fastest call that there is; the library spreads them over the processors.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import tokenizers

import peer


def main():
    folder = Path(sys.argv[1])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = json.loads((folder / "texts.json").read_text())
    encoded = []

    def step(_):
        encoded[:] = tokenizer.encode_batch_fast(texts, add_special_tokens=False)

    def numbers():
        ids = np.concatenate([np.array(e.ids, dtype="<i4") for e in encoded])
        return {"tokens": len(ids), "crc32": zlib.crc32(ids.tobytes())}

    peer.serve(step, numbers, version=f"tokenizers {tokenizers.__version__}")


if __name__ == "__main__":
    main()
