#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hugging Face's datasets and tokenizers on metrolab's text and tokenizer file.

    preparepeer.py TASK

TASK is a folder with tokenizer.json and text.txt, paragraphs between blank lines. A step makes what metrolab makes of them:
paragraphs on one line each, those that stood there before left out, a split by the hash of their text, ids with a [SEP] behind
each, on the disk. All of it is one batched map, which is the fastest that datasets has. Nothing comes from a cache, and the
tokenizer is read anew, so that it has met no word before.
"""

import hashlib
import shutil
import sys
import zlib
from pathlib import Path

import datasets
import numpy as np
import tokenizers

import peer

SPLITS = ("train", "validation", "test")
REFRAIN = 64  # bytes from which a paragraph must not stand twice


def split_of(text):
    slot = int.from_bytes(hashlib.sha256(text.lower().encode()).digest()[:8], "big") % 20
    return max(0, slot - 17)


def main():
    folder = Path(sys.argv[1])
    out = folder / "datasets"
    datasets.disable_caching()
    datasets.disable_progress_bars()

    def step(_):
        shutil.rmtree(out, ignore_errors=True)
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        sep = tokenizer.token_to_id("[SEP]")
        seen = set()

        def once(text):
            if len(text.encode()) < REFRAIN:
                return True
            new = text not in seen
            seen.add(text)
            return new

        def prepare(batch):
            texts = [" ".join(text.split()) for text in batch["text"]]
            texts = [text for text in texts if text and once(text)]
            encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            return {"input_ids": [e.ids + [sep] for e in encoded], "split": [split_of(text) for text in texts]}

        data = datasets.load_dataset("text", data_files=str(folder / "text.txt"), sample_by="paragraph", split="train", cache_dir=str(out / "cache"))
        data = data.map(prepare, batched=True, remove_columns=["text"], features=features)
        split = np.array(data.with_format("numpy")["split"])
        data = data.remove_columns("split")
        for i, name in enumerate(SPLITS):
            data.select(np.flatnonzero(split == i)).save_to_disk(str(out / name))

    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value("int32")), "split": datasets.Value("int8")})

    def numbers():
        table = datasets.load_from_disk(str(out / "train")).data.column("input_ids").combine_chunks()
        ids = table.flatten().to_numpy().astype("<i4")
        return {"tokens": len(ids), "documents": len(table), "crc32": zlib.crc32(ids.tobytes())}

    peer.serve(step, numbers, version=f"datasets {datasets.__version__}, tokenizers {tokenizers.__version__}")


if __name__ == "__main__":
    main()
