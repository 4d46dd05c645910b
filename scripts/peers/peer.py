# SPDX-License-Identifier: Apache-2.0
"""What every Python peer shares: the task that it is given, and the talk with the program that measures it.

A task is a folder: task.json with metrolab's whole config, weights.safetensors with the first weights under metrolab's names
(dense ones [in, out]), batches.safetensors with a few batches, tensors [batches, B, …] that are used in turn.

A peer runs one step after the other. It first runs WARM_UP steps, which compile whatever there is to compile, and prints a line
of JSON about itself with their losses. Then it reads numbers of steps from its standard input, a line each, runs as many, and
answers with the last loss. Time, processor seconds and memory are taken from outside.
"""

import json
import sys
from math import ceil, log
from pathlib import Path

WARM_UP = 2


class Task:
    def __init__(self, folder):
        from safetensors.numpy import load_file  # here, so that the rest needs no package

        folder = Path(folder)
        about = json.loads((folder / "task.json").read_text())
        self.config = about["config"]
        self.vocab = about["vocab"]
        self.pad = about["pad"]
        self.mask = about["mask"]
        self.folder = folder
        self.batches = load_file(folder / "batches.safetensors")
        self.count = len(self.batches["tokens"])

    def weights(self):
        """The first weights by metrolab's names."""
        from safetensors.numpy import load_file

        return load_file(self.folder / "weights.safetensors")

    def batch(self, step):
        """The batch of a step, 0, 1, …: tokens, masked [B, S], positions, weights, uniforms [B, P]."""
        return {name: t[step % self.count] for name, t in self.batches.items()}

    def rates(self, step):
        """The learning rate and Adam's bias corrections of a step, 0, 1, …."""
        o = self.config["optimizer"]
        corrections = [1.0, 1.0]
        if o["bias_correction"]:
            corrections = [1 / (1 - o[beta] ** (step + 1)) for beta in ("beta1", "beta2")]
        return [o["learning_rate"], *corrections]


def decays(name):
    """Whether weight decay reaches a weight of metrolab's: biases, gains and offsets are spared."""
    kind = name.split(".")[-1]
    return not (kind in ("gain", "offset", "bias") or kind.endswith("_bias"))


def offsets(length, bins, max_distance):
    """The bucket of every pair (query, key) of positions, as COCO-LM and METRO-T0 count them: [length][length] ints."""
    half, exact = bins // 2, bins // 4

    def bucket(n):
        v = abs(n)
        if v >= exact:
            v = min(half - 1, exact + ceil(log(v / exact) / log((max_distance - 1) / exact) * (half - 1 - exact)))
        return (-v if n < 0 else v) + half - 1

    return [[bucket(k - q) for k in range(length)] for q in range(length)]


def serve(step, loss, **about):
    """Runs step(i) for i = 0, 1, … as told, and loss(), which waits for the last one and returns its numbers by name."""
    done = 0
    first = []
    for _ in range(WARM_UP):
        step(done)
        first.append(loss())
        done += 1
    say({**about, "losses": first})
    for line in sys.stdin:
        for _ in range(int(line)):
            step(done)
            done += 1
        say({"loss": loss()})


def say(answer):
    print(json.dumps(answer), flush=True)
