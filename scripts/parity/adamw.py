#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes 50-step trajectories of PyTorch's AdamW on given gradients, for the tests of metro/training.

    venv/bin/python scripts/parity/adamw.py metro/training/testdata/adamw_torch.json

The optimizer is torch.optim.AdamW, the clip torch.nn.utils.clip_grad_norm_, the schedule transformers'
get_linear_schedule_with_warmup; everything in float64.
"""

import json
import sys

import torch
import transformers

STEPS, WARMUP, PEAK = 50, 10, 0.05
SHAPES = {"weights": [2, 3], "token_embedding": [4, 2], "bias": [3], "gain": [2]}
DECAYING = ["weights", "token_embedding"]

ABOUT = """Trajectories of torch.optim.AdamW in float64 on gradients that do not depend on the weights; written by
scripts/parity/adamw.py with torch {torch} and transformers {transformers}. "shapes": the variables; all tensors are
flat, row-major. "decays": the variables that have weight decay. "start": first values. "gradients"[t][name]: the
gradient of step t+1, before the clip. "rates"[t]: the learning rate of step t+1, which is "peak"*(t+1)/"warmup" up to
step "warmup", then falls linearly to 0 at step "steps" (get_linear_schedule_with_warmup, advanced before each step).
"cases": each has "beta1", "beta2", "epsilon", "weight_decay", "clip" (the largest global norm; 0 = none), and
"norms"[t], the global norm of the gradients before the clip, and "values"[t][name], the variables after step t+1."""


def flat(tensor):
    return tensor.detach().reshape(-1).tolist()


def gradients(noise):
    """Normal, with a slow drift and a few large steps, so that the clip bites at some steps and not at others."""
    out = []
    for t in range(STEPS):
        size = 4.0 if t % 7 == 3 else 0.3
        drift = torch.sin(torch.tensor(t / 8.0, dtype=torch.float64))
        out.append({n: size * torch.randn(s, generator=noise, dtype=torch.float64) + 0.2 * drift for n, s in SHAPES.items()})
    return out


def run(start, grads, beta1, beta2, epsilon, weight_decay, clip):
    params = {n: torch.nn.Parameter(v.clone()) for n, v in start.items()}
    groups = [
        {"params": [p for n, p in params.items() if n in DECAYING], "weight_decay": weight_decay},
        {"params": [p for n, p in params.items() if n not in DECAYING], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(beta1, beta2), eps=epsilon)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    rates, norms, values = [], [], []
    for grad in grads:
        schedule.step()
        for n, p in params.items():
            p.grad = grad[n].clone()
        norm = torch.nn.utils.clip_grad_norm_(params.values(), clip or float("inf"))
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        norms.append(float(norm))
        values.append({n: flat(p) for n, p in params.items()})
    case = dict(beta1=beta1, beta2=beta2, epsilon=epsilon, weight_decay=weight_decay, clip=clip, norms=norms, values=values)
    return rates, case


def main():
    noise = torch.Generator().manual_seed(1)
    start = {n: torch.randn(s, generator=noise, dtype=torch.float64) for n, s in SHAPES.items()}
    grads = gradients(noise)
    cases = []
    for hyper in ((0.9, 0.98, 1e-6, 0.01, 2.0), (0.9, 0.999, 1e-8, 0.1, 0.0)):
        rates, case = run(start, grads, *hyper)
        cases.append(case)
    about = " ".join(ABOUT.split()).format(torch=torch.__version__, transformers=transformers.__version__)
    fixture = {
        "about": about, "steps": STEPS, "warmup": WARMUP, "peak": PEAK, "shapes": SHAPES, "decays": DECAYING,
        "start": {n: flat(v) for n, v in start.items()},
        "gradients": [{n: flat(v) for n, v in g.items()} for g in grads],
        "rates": rates, "cases": cases,
    }
    with open(sys.argv[1], "w") as f:
        json.dump(fixture, f, separators=(",", ":"))
        f.write("\n")
    for case in cases:
        clipped = sum(n > case["clip"] > 0 for n in case["norms"])
        print(f"clip {case['clip']}: bites at {clipped} of {STEPS} steps")


if __name__ == "__main__":
    main()
