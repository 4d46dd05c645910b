#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the golden numbers of metro/peft_test.go: a BERT with LoRA, and with prompt tuning, of Hugging Face's peft.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 numpy==2.4.6
    venv/bin/python scripts/parity/adaptations.py

Weights are waves, in the order in which the inventory lists them. peft gives the slots of a prompt positions and a token type, and
moves the text's positions behind them; here there are none of either, so that the two mean the same.
"""

import torch
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

LAYERS, H, F, V, K, RANK = 2, 8, 12, 11, 2, 2
ROWS = torch.tensor([[2, 5, 6, 7, 3], [2, 9, 10, 3, 0]])


def wave(p, *dims):
    n = 1
    for d in dims:
        n *= d
    return (0.4 * torch.sin(p + 0.7 * torch.arange(n, dtype=torch.float64))).float().reshape(*dims)


def model():
    config = BertConfig(vocab_size=V, hidden_size=H, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=F, hidden_act="gelu",
                        max_position_embeddings=16, layer_norm_eps=1e-6, pad_token_id=0, attn_implementation="eager")
    m = BertForSequenceClassification(config).eval()
    b, count = m.bert, iter(range(1000))

    def dense(d, i, o):
        d.weight.copy_(wave(next(count), i, o).T)
        d.bias.copy_(wave(next(count), o))

    def norm(n):
        n.weight.copy_(1 + 0.5 * wave(next(count), H))
        n.bias.copy_(wave(next(count), H))

    with torch.no_grad():
        b.embeddings.position_embeddings.weight.zero_()
        b.embeddings.token_type_embeddings.weight.zero_()
        b.embeddings.word_embeddings.weight.copy_(wave(next(count), V, H))
        norm(b.embeddings.LayerNorm)
        for layer in b.encoder.layer:
            s = layer.attention.self
            for d in (s.query, s.key, s.value, layer.attention.output.dense):
                dense(d, H, H)
            norm(layer.attention.output.LayerNorm)
            dense(layer.intermediate.dense, H, F)
            dense(layer.output.dense, F, H)
            norm(layer.output.LayerNorm)
    return m


def show(title, states):
    print(title)
    for row, ids in zip(states, ROWS):
        for state, token in zip(row, ids):
            if token != 0:
                print("  {" + ", ".join(f"{float(x):.6f}" for x in state) + "},")


with torch.no_grad():
    mask = (ROWS != 0).long()
    show("model", model().bert(ROWS, attention_mask=mask).last_hidden_state)

    m = get_peft_model(model(), LoraConfig(task_type=TaskType.SEQ_CLS, r=RANK, lora_alpha=3, target_modules=["query", "value"])).eval()
    p = 100
    for layer in m.base_model.model.bert.encoder.layer:
        for d in (layer.attention.self.query, layer.attention.self.value):
            d.lora_A["default"].weight.copy_(wave(p, H, RANK).T)
            d.lora_B["default"].weight.copy_(wave(p + 1, RANK, H).T)
            p += 2
    show("lora", m.base_model.model.bert(ROWS, attention_mask=mask).last_hidden_state)

    m = get_peft_model(model(), PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=K)).eval()
    m.prompt_encoder["default"].embedding.weight.copy_(wave(200, K, H))
    show("prompt", m(ROWS, attention_mask=mask, output_hidden_states=True).hidden_states[-1][:, K:])
