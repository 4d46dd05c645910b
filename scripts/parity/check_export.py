#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads an exported pair in transformers and, given where it came from, compares what both compute.

    venv/bin/python scripts/parity/check_export.py EXPORT [ORIGINAL]

EXPORT and ORIGINAL are folders with discriminator/ and generator/. It exits with 1 if a key is missing, unexpected or of
another shape, if the tokenizer's vocabulary does not match the model's table, or if an output differs.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, ElectraForMaskedLM, ElectraForPreTraining, ElectraModel

CLASSES = {"discriminator": ElectraForPreTraining, "generator": ElectraForMaskedLM, "main": ElectraModel}


def load(folder):
    for name, cls in CLASSES.items():
        if (folder / name).is_dir():
            yield name, *cls.from_pretrained(folder / name, output_loading_info=True)


def outputs(model, ids):
    with torch.no_grad():
        return model.eval()(ids)[0]


def main():
    export, original = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    originals = {name: model for name, model, _ in load(original)} if original else {}
    failed = False
    for name, model, info in load(export):
        problems = {k: v for k, v in info.items() if v}
        tokenizer = AutoTokenizer.from_pretrained(export / name)
        ids = torch.arange(model.config.vocab_size)[: model.config.max_position_embeddings][None]
        line = f"{name}: {type(model).__name__}, {len(model.state_dict())} tensors, {len(tokenizer)} tokens, {problems or 'all keys match'}"
        if name in originals:
            difference = (outputs(model, ids) - outputs(originals[name], ids)).abs().max().item()
            line += f", largest difference {difference}"
            failed |= difference > 0
        failed |= bool(problems) or len(tokenizer) > model.config.vocab_size
        print(line)
    sys.exit(failed)


if __name__ == "__main__":
    main()
