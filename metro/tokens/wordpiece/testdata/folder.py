# SPDX-License-Identifier: Apache-2.0
"""Reads a folder that Tokenizer.SaveFolder wrote with transformers and compares ids with a golden file.

    python3 -m pip install tokenizers==0.23.3 transformers==5.23.0
    python3 folder.py FOLDER GOLDEN.jsonl.gz

The folder is read whole, without its tokenizer.json, and as transformers saves it; all must give the golden ids.
"""
import gzip
import json
import os
import shutil
import sys
import tempfile

from transformers import AutoTokenizer

folder, golden = sys.argv[1:]
with gzip.open(golden, "rt", encoding="utf-8") as f:
    lines = [json.loads(line) for line in f]


def check(what, path):
    tok = AutoTokenizer.from_pretrained(path)
    for line in lines:
        assert tok(line["text"])["input_ids"] == line["ids"], (what, line["text"])
    print(what, type(tok).__name__, len(tok), tok.model_max_length, tok.all_special_tokens, len(lines), "texts agree")
    return tok


with tempfile.TemporaryDirectory() as temp:
    saved, bare = os.path.join(temp, "saved"), os.path.join(temp, "bare")
    check("whole", folder).save_pretrained(saved)
    check("saved again", saved)
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("tokenizer.json"))
    check("without tokenizer.json", bare)
