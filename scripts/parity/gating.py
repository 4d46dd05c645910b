#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the golden numbers of layers/moe: of its routing (route_test.go) and of a layer (feedforward_test.go).

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.23.0 setuptools==80.9.0 numpy==2.4.6
    venv/bin/pip install --no-build-isolation deepspeed==0.19.8
    venv/bin/python scripts/parity/gating.py

DeepSpeed's top-1 and top-2 gating on its CPU path, and the sparse block of transformers' Switch Transformers, whose experts have no
biases. Whom DeepSpeed drops for want of room among equals, without random token selection, is left out: its sort is not stable there.
"""

import torch
from deepspeed.moe import sharded_moe
from transformers import SwitchTransformersConfig
from transformers.models.switch_transformers import modeling_switch_transformers as switch

S, E = 12, 4
s, e = torch.meshgrid(torch.arange(S, dtype=torch.float64), torch.arange(E, dtype=torch.float64), indexing="ij")
logits = (2 * torch.sin(1 + 1.7 * s + 2.3 * e) + (e == 0)).float()
lots = (((7 * s + 3 * e) % 13) + 0.5) / 14


def show(title, loss, combine, dispatch, counts):
    print(f"{title}: balance {float(loss):.6f}, first choices {[int(n) for n in counts]}, capacity {combine.shape[-1]}")
    for token in range(S):
        places = [(int(x), int(c), round(float(combine[token, x, c]), 6)) for x, c in dispatch[token].nonzero()]
        print(f"  token {token}: " + ", ".join(f"expert {x} slot {c} weight {w}" for x, c, w in places))


show("top-1, capacity 2", *sharded_moe.top1gating(logits.clone(), 2.0, 1, use_rts=False))
sharded_moe.exp_selection_uniform_map[logits.device] = lambda shape: lots.float()
show("top-1, capacity 1, drawn by lot", *sharded_moe.top1gating(logits.clone(), 1.0, 1, use_rts=True))
show("top-2, capacity 1", *sharded_moe.top2gating(logits.clone(), 1.0, 1, top2_2nd_expert_sampling=False))

config = SwitchTransformersConfig(d_model=4, d_ff=6, num_experts=3, expert_capacity=64, router_jitter_noise=0.0, dropout_rate=0.0, router_bias=False)
block = switch.SwitchTransformersSparseMLP(config).eval()


def waves(shape, phase):
    n = 1
    for d in shape:
        n *= d
    return torch.cos(phase + 1.3 * torch.arange(n, dtype=torch.float64)).reshape(shape).float()


with torch.no_grad():
    for index, (name, weight) in enumerate(sorted(block.named_parameters())):
        weight.copy_(waves(weight.shape, index))
        print(f"{name}: {list(weight.shape)}, cos({index} + 1.3·i)")
    x = waves((1, 5, 4), 0.5)
    out = block(x)
    out = out[0] if isinstance(out, tuple) else out
    print("Switch block of cos(0.5 + 1.3·i), [1, 5, 4]:")
    for row in out[0]:
        print("  " + ", ".join(f"{float(v):.6f}" for v in row))
