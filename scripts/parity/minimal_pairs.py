#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores minimal pairs by transformers, and compares the accuracies with those of metro blimp.

    bin/metro export --model RUN --out EXPORT
    bin/metro blimp --model EXPORT --data PAIRS.jsonl --corpus none --output blimp.json
    venv/bin/python scripts/parity/minimal_pairs.py EXPORT PAIRS.jsonl blimp.json

EXPORT is a folder with discriminator/ or main/, and generator/, or one model's folder. PAIRS.jsonl, which may end in .gz, is one
paradigm of BLiMP's. Of the scorers in blimp.json those are compared that transformers has a class for: generator and lm-masked,
pseudo-log-likelihood with one token masked at a time (ElectraForMaskedLM, BertForMaskedLM), and detector, the sum of log p(original)
(ElectraForPreTraining). It exits with 1 if an accuracy, ties half, differs by more than 0.1 points. Sentences that are longer than
the model's positions are refused, for metro reads them in windows.
"""

import gzip
import json
import sys
from pathlib import Path

import torch
import transformers

BATCH = 64


def load(export, name):
    """The model that a scorer asks, with its tokenizer; None if transformers has no class for it."""
    folders = {"generator": ["generator", "."], "lm-masked": ["main", "discriminator", "."], "detector": ["discriminator", "."]}
    for folder in folders.get(name, []):
        path = export / folder
        if not (path / "config.json").exists():
            continue
        config = json.loads((path / "config.json").read_text())
        if config["model_type"] == "metro":
            return None
        config = transformers.AutoConfig.from_pretrained(path)
        cls = transformers.ElectraForPreTraining if name == "detector" else transformers.AutoModelForMaskedLM
        model, info = cls.from_pretrained(path, config=config, output_loading_info=True)
        if info["missing_keys"]:
            return None
        return model.eval(), transformers.AutoTokenizer.from_pretrained(path)
    return None


@torch.no_grad()
def masked(model, tokenizer, ids):
    places = range(1, len(ids) - 1)
    rows = torch.tensor([ids]).repeat(len(places), 1)
    for row, place in enumerate(places):
        rows[row, place] = tokenizer.mask_token_id
    total = 0.0
    for first in range(0, len(places), BATCH):
        at = torch.tensor(places[first : first + BATCH])
        row = torch.arange(len(at))
        log_p = model(rows[first : first + BATCH]).logits[row, at].double().log_softmax(-1)
        total += log_p[row, torch.tensor(ids)[at]].sum().item()
    return total


@torch.no_grad()
def detector(model, _, ids):
    z = model(torch.tensor([ids])).logits[0].double()
    return torch.nn.functional.logsigmoid(-z)[1:-1].sum().item()


def main():
    torch.set_num_threads(1)
    export, pairs, report = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    opened = gzip.open(pairs, "rt") if pairs.suffix == ".gz" else open(pairs)
    lines = [json.loads(line) for line in opened if line.strip()]
    failed, compared = False, 0
    for scorer in report["scorers"]:
        found = None if scorer.get("anchor") else load(export, scorer["name"])
        if found is None:
            continue
        model, tokenizer = found
        score = detector if scorer["name"] == "detector" else masked
        scores = {}
        for sentence in {s for line in lines for s in (line["sentence_good"], line["sentence_bad"])}:
            ids = tokenizer(sentence)["input_ids"]
            if len(ids) > model.config.max_position_embeddings:
                sys.exit(f"{len(ids)} tokens, and the model has {model.config.max_position_embeddings} positions: {sentence}")
            scores[sentence] = score(model, tokenizer, ids)
        credits = []
        for line in lines:
            good, bad = scores[line["sentence_good"]], scores[line["sentence_bad"]]
            credits.append(1.0 if good > bad else 0.5 if good == bad else 0.0)
        theirs = 100 * sum(credits) / len(credits)
        ours = 100 * next(g for g in scorer["groups"] if g["level"] == "all")["accuracy"]["ties_half"]["value"]
        compared += 1
        failed |= abs(ours - theirs) > 0.1
        print(f"{scorer['name']}: {type(model).__name__}, {len(lines)} pairs, metro {ours:.2f}, transformers {theirs:.2f}, {'within' if abs(ours - theirs) <= 0.1 else 'NOT within'} 0.1")
    if compared == 0:
        sys.exit("nothing to compare: transformers has no class for these models")
    sys.exit(failed)


if __name__ == "__main__":
    main()
