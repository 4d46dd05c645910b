#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads exported folders in transformers and, given where they came from, compares the two.

    venv/bin/python scripts/parity/check_export.py EXPORT [ORIGINAL]

EXPORT and ORIGINAL are folders with discriminator/, main/ or generator/. The classes are those that each config.json
names. It exits with 1 if a key is missing, unexpected or of another shape, if the tokenizer has more tokens than the
model's table, if a weight is not the original's to the bit, or if an output differs by more than 1e-6.
"""

import sys
from pathlib import Path

import torch
import transformers


def load(folder):
    for path in sorted(p for p in folder.iterdir() if (p / "config.json").exists()):
        config = transformers.AutoConfig.from_pretrained(path)
        cls = getattr(transformers, config.architectures[0])
        model, info = cls.from_pretrained(path, output_loading_info=True)
        yield path, model.eval(), {k: v for k, v in info.items() if v}


def output(model, ids):
    with torch.no_grad():
        return model(ids)[0]


def main():
    export = Path(sys.argv[1])
    originals = {path.name: model for path, model, _ in load(Path(sys.argv[2]))} if len(sys.argv) > 2 else {}
    failed = False
    for path, model, problems in load(export):
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        ids = torch.arange(model.config.vocab_size)[: model.config.max_position_embeddings][None]
        line = f"{path.name}: {type(model).__name__}, {len(model.state_dict())} tensors, {len(tokenizer)} tokens, {problems or 'all keys match'}"
        failed |= bool(problems) or len(tokenizer) > model.config.vocab_size
        if path.name in originals:
            original = originals[path.name]
            weights, theirs = model.state_dict(), original.state_dict()
            same = weights.keys() == theirs.keys() and all(torch.equal(w, theirs[k]) for k, w in weights.items())
            difference = (output(model, ids) - output(original, ids)).abs().max().item()
            line += f", weights {'equal' if same else 'DIFFER'}, outputs within {difference:.1e}"
            failed |= not same or difference > 1e-6
        print(line)
    sys.exit(failed)


if __name__ == "__main__":
    main()
