#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixture of metro/deebert_test.go: what DeeBERT's published code says at each of its exits, and where it leaves.

    git clone https://github.com/castorini/DeeBERT && git -C DeeBERT checkout 563eac1
    python3 -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 tqdm==4.70.1
    venv/bin/python scripts/parity/deebert.py --reference DeeBERT metro/testdata/deebert.json

The code (Apache-2.0) is imported from the checkout, transformers/modeling_highway_bert.py, without what only loads files: boto3, requests,
six. Weights are waves. DeeBERT asks a text's first token, so that each token of a row is put in front in its turn: positions and token
types are 0, so that the order of a row means nothing. Its heads are a dense map, tanh and two logits; here GELU stands in the place of
tanh, as in the RTD head of metro, and the logit of the first class is 0. The last exit, which DeeBERT never trains, has the weights of the
model's own head.
"""

import types

import torch

import reference

COMMIT = "563eac1c23dc274eceaf4309cae110012f6b7bb1"
LAYERS, H, F, V = 4, 8, 12, 11
ROWS = [[2, 5, 6, 7, 3], [2, 9, 10, 3, 0]]


def head(pooler, classifier, layer):
    w = reference.Waves(100 + 10 * layer)
    w.dense(pooler.dense)
    pooler.activation = torch.nn.GELU()
    classifier.weight.zero_(), classifier.bias.zero_()
    classifier.weight[1].copy_(reference.wave(next(w.places), H))
    classifier.bias[1:].copy_(reference.wave(next(w.places), 1))


def build(folder):
    for name in ("boto3", "botocore", "requests"):
        reference.absent(name)
    reference.absent("botocore.config", Config=None)
    reference.absent("botocore.exceptions", ClientError=None)
    reference.absent("six", string_types=(str,), PY2=False)
    reference.absent("tensorflow", __version__="0")
    reference.package("transformers", folder / "transformers")
    from transformers.configuration_bert import BertConfig
    from transformers.modeling_highway_bert import BertForSequenceClassification

    m = BertForSequenceClassification(BertConfig(V, hidden_size=H, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=F, hidden_act="gelu",
                                                 max_position_embeddings=16, layer_norm_eps=1e-6, num_labels=2)).eval()
    with torch.no_grad():
        w, e = reference.Waves(0), m.bert.embeddings
        e.position_embeddings.weight.zero_(), e.token_type_embeddings.weight.zero_()
        w.table(e.word_embeddings)
        w.norm(e.LayerNorm)
        for layer in m.bert.encoder.layer:
            w.bert(layer)
        for i, highway in enumerate(m.bert.encoder.highway):
            head(highway.pooler, highway.classifier, i + 1)
        head(m.bert.pooler, m.classifier, LAYERS)
    return m


@torch.no_grad()
def asked(m, threshold):
    """What each real token has said where the model left, or at last: (logit, layer, logits of the exits so far, their entropies, loss of the lower exits)."""
    m.bert.encoder.early_exit_entropy = [threshold] * LAYERS
    said = []
    for r, row in enumerate(ROWS):
        said.append([])
        for t, token in enumerate(row):
            if token == 0:
                continue
            ids = torch.tensor([[token] + row[:t] + row[t + 1:]])
            out = m(ids, attention_mask=(ids != 0).long(), labels=torch.tensor([(r + t) % 2]), train_highway=True)
            loss, logits, exits, (_, entropies), layer = out
            said[-1].append(types.SimpleNamespace(logit=logits[0, 1] - logits[0, 0], layer=layer, loss=loss, entropies=entropies,
                                                  exits=torch.stack([e[0][0, 1] - e[0][0, 0] for e in exits])))
    return said


def main():
    folder, fixture = reference.opened(COMMIT)
    m = build(folder)

    def each(said, of):
        return [[of(token) for token in row] for row in said]

    full = asked(m, -1)
    entropies = sorted(float(e) for row in full for token in row for e in token.entropies)
    print("entropies:", [round(e, 3) for e in entropies])
    thresholds = []
    for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85):  # where no entropy is near
        at = int(share * len(entropies))
        _, low, high = max((b - a, a, b) for a, b in zip(entropies[at - 2:at + 2], entropies[at - 1:at + 3]))
        thresholds.append(round((low + high) / 2, 6))
    thresholds = [-1.0] + thresholds + [0.7]
    runs = [asked(m, threshold) for threshold in thresholds]
    for threshold, run in zip(thresholds, runs):
        print(threshold, each(run, lambda token: token.layer))
    reference.write(fixture, {
        "about": f"DeeBERT at {COMMIT[:7]}, run by scripts/parity/deebert.py with torch {torch.__version__}. \"logits\"[row][token]: of the exits after each layer. \"losses\"[row][token]: the "
                 "sum over the exits below the last, the label being (row + token) mod 2. \"entropies\": thresholds, and for each \"layers\" and \"left\": where a token left, and its logit there.",
        "rows": ROWS, "logits": each(full, lambda token: reference.numbers(token.exits)), "losses": each(full, lambda token: reference.numbers(token.loss)),
        "entropies": thresholds, "layers": [each(run, lambda token: token.layer) for run in runs], "left": [each(run, lambda token: reference.numbers(token.logit)) for run in runs],
    })


if __name__ == "__main__":
    main()
