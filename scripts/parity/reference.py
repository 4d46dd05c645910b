# SPDX-License-Identifier: Apache-2.0
"""What the scripts share that run published code which is no package: it is imported from a checkout, and nothing of it is kept here."""

import argparse
import itertools
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import torch


def checkout(folder, commit):
    """The path of a git checkout of the reference, which must be at that commit, as it is there."""
    at = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert at == commit, f"{folder} is at {at}; git checkout {commit}"
    changed = subprocess.run(["git", "-C", folder, "diff", "--name-only", "HEAD", "--", "*.py"], capture_output=True, text=True, check=True).stdout
    assert not changed, f"{folder} has changed files: {changed.split()}"
    return Path(folder)


def opened(commit):
    """The checkout that the command line names, and the fixture to write; one thread, so that sums are in one order."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", required=True)
    parser.add_argument("fixture")
    args = parser.parse_args()
    torch.set_num_threads(1)
    return checkout(args.reference, commit), args.fixture


def package(name, folder):
    """Makes modules below a package importable, without what its __init__ imports."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    return module


def absent(name, **attributes):
    """A module that the reference imports and that is not asked for anything but these attributes."""
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module


def drawn(place, *dims, scale=1.0, around=0.0):
    """Numbers in around ± scale that look drawn and are a formula of 32-bit integers: the tests in Go have it too."""
    n = int(np.prod(dims))
    x = np.arange(1, n + 1, dtype=np.uint64) + np.uint64(1_000_003 * place)
    x = (x * np.uint64(2_654_435_761)) % np.uint64(1 << 32)
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x45D9F3B)) % np.uint64(1 << 32)
    x ^= x >> np.uint64(16)
    return torch.from_numpy((around + scale * (x.astype(np.float64) / 2**31 - 1)).astype(np.float32)).reshape(dims)


def wave(place, *dims):
    """0.4·sin(place + 0.7·i): the weights of a small encoder, which metro's tests have too."""
    return (0.4 * torch.sin(place + 0.7 * torch.arange(int(np.prod(dims)), dtype=torch.float64))).float().reshape(dims)


class Waves:
    """Fills modules with waves, in the order of the inventory in Go, from a first place on."""

    def __init__(self, first):
        self.places = itertools.count(first)

    def table(self, t):
        t.weight.copy_(wave(next(self.places), *t.weight.shape))

    def norm(self, n):
        n.weight.copy_(1 + 0.5 * wave(next(self.places), *n.weight.shape))
        n.bias.copy_(wave(next(self.places), *n.bias.shape))

    def dense(self, d):
        outputs, inputs = d.weight.shape
        d.weight.copy_(wave(next(self.places), inputs, outputs).T)
        d.bias.copy_(wave(next(self.places), outputs))

    def bert(self, layer):
        """A layer with the names of BERT's."""
        s = layer.attention.self
        for d in (s.query, s.key, s.value, layer.attention.output.dense):
            self.dense(d)
        self.norm(layer.attention.output.LayerNorm)
        self.dense(layer.intermediate.dense)
        self.dense(layer.output.dense)
        self.norm(layer.output.LayerNorm)


def numbers(tensor, digits=7):
    """A tensor as lists of numbers, rounded to so many significant digits."""
    if tensor.dim() == 0:
        return float(f"{float(tensor.detach()):.{digits}g}")
    return [numbers(t, digits) for t in tensor]


def write(path, fixture):
    text = json.dumps(fixture, separators=(",", ":"), ensure_ascii=True) + "\n"
    assert len(text) <= 60_000, f"{len(text)} bytes are too many for a fixture"
    Path(path).write_text(text)
    print(f"{path}: {len(text)} bytes")
