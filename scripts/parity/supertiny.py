#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixture of layers/supertiny_test.go: what Super Tiny Language Models' published code makes of tokens' bytes, and of layers
that share their feed-forward map.

    git clone https://github.com/LeonGuertler/SuperTinyLanguageModels && git -C SuperTinyLanguageModels checkout 8d498b6
    python3 -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 tqdm==4.70.1
    venv/bin/python scripts/parity/supertiny.py --reference SuperTinyLanguageModels layers/testdata/supertiny.json

The code (MIT) is imported from the checkout. What it imports and what is not asked here is left out: hydra but for the path of the byte
tokenizer, which is the one of the repository; tiktoken, in whose place stands a list of tokens, so that GPT-2's vocabulary is not
needed; the training code. Nothing drops (eval). Weights are numbers of a formula; the order of their places is that of the inventory of
layers.BytePool and layers.Block, in whose shapes they are made, so that matrices are transposed here.
"""

import math
import sys
import types

import torch

import reference

COMMIT = "8d498b63773f2f0dbf0d271466db49879d6d2941"

# A byte, few, twelve, more than twelve, and more whose first twelve are another token's; beyond ASCII; nothing.
TOKENS = [" the", "s", " tokenisation", " tokenisatio", " tokenisations", "é", "日本語", "naïve café!", "0123456789ab", "\n\t ", ""]
WIDTH, BYTES, VALUES = 24, 12, 258
SHARED = dict(layers=3, width=16, heads=4, inner=24, batch=2, length=5)


def embedder(byte_width):
    encoding = types.SimpleNamespace(eot_token=len(TOKENS), max_token_value=len(TOKENS), decode=lambda ids: "".join(TOKENS[i] for i in ids),
                                     encode_ordinary=lambda text: list(range(len(TOKENS))))
    reference.absent("tiktoken", get_encoding=lambda name: encoding)
    from models.experimental.byte_level.embedding_model import ByteLevelEmbedder

    e = ByteLevelEmbedder({
        "embedder": {"tokenizer_type": "gpt2", "byte_tokenizer_type": "bpe", "dataset_name": "simple_en_wiki"},
        "byte_vocab_size": VALUES, "vocab_size": len(TOKENS), "byte_embedding_dim": byte_width, "byte_context_window": BYTES, "hidden_dim": WIDTH,
    }).eval()
    places = iter(range(1000))

    def table(t):
        t.weight.copy_(reference.drawn(next(places), *t.weight.shape))

    def norm(n):
        n.weight.copy_(reference.drawn(next(places), *n.weight.shape, scale=0.5, around=1))

    def matrix(rows, columns):
        return reference.drawn(next(places), rows, columns, scale=1.5 * math.sqrt(3 / rows))

    with torch.no_grad():
        table(e.byte_token_embedder)
        table(e.pos_encoder.pe)
        next(places)  # vectors of tokens that stand for nothing written, which are ours
        for block in e.transformer:
            norm(block.attn_norm)
            width, (inner, _) = block.attn_norm.weight.shape[0], block.ffn.linear_1.weight.shape
            block.attn.c_attn.weight.copy_(torch.cat([matrix(width, width).T for _ in range(3)]))
            block.attn.c_proj.weight.copy_(matrix(width, width).T)
            norm(block.ffn_norm)
            block.ffn.linear_1.weight.copy_(matrix(width, inner).T)
            block.ffn.linear_2.weight.copy_(matrix(inner, block.ffn.linear_2.weight.shape[0]).T)
    return e


def pooled(byte_width):
    """Vectors of the tokens, and by what a loss of them, Σ sin(vectors), changes along a direction that is drawn, weight by weight."""
    e = embedder(byte_width)
    ids = torch.tensor([e.tokenize_input("", add_eot=False)])
    vectors = e(ids)[0]
    vectors.sin().sum().backward()
    slopes, places = [], iter(range(1000, 2000))

    def slope(gradient, transposed=False):
        g = gradient.T if transposed else gradient
        slopes.append((float((g.double() * reference.drawn(next(places), *g.shape).double()).sum()), float(g.double().norm())))

    slope(e.byte_token_embedder.weight.grad)
    slope(e.pos_encoder.pe.weight.grad)
    slopes.append((0.0, 0.0)), next(places)
    for block in e.transformer:
        slope(block.attn_norm.weight.grad)
        for part in block.attn.c_attn.weight.grad.chunk(3):
            slope(part, True)
        slope(block.attn.c_proj.weight.grad, True)
        slope(block.ffn_norm.weight.grad)
        slope(block.ffn.linear_1.weight.grad, True)
        slope(block.ffn.linear_2.weight.grad, True)
    with torch.no_grad():
        closer = embedder(byte_width).double()(ids)[0]
    print(f"bytes of width {byte_width}: {sum(p.numel() for p in e.parameters())} weights; float32 is within {float((closer - vectors.detach()).abs().max()):.1e} of float64")
    return {"byte_width": byte_width, "weights": sum(p.numel() for p in e.parameters()), "ids": ids[0].tolist(), "vectors": reference.numbers(vectors),
            "slopes": [[float(f"{x:.7g}") for x in s] for s in slopes]}


def shared():
    """States of layers that share their feed-forward map, and gradients of the map by Σ sin(1.5·states)."""
    from models.core_models import GenericFFNSharedTransfomer

    width, inner = SHARED["width"], SHARED["inner"]
    core = GenericFFNSharedTransfomer({
        "hidden_dim": width, "context_window": SHARED["length"], "positional_encoding_type": "none",
        "core_model": {
            "num_layers": SHARED["layers"],
            "ffn": {"ffn_type": "generic", "ffn_dim": inner, "activation": "gelu", "normalization": "layer_norm", "bias": True},
            "attn": {"attn_type": "generic", "num_heads": SHARED["heads"], "normalization": "layer_norm", "group_size": 1, "bias": True, "is_causal": False},
        },
    }).eval()
    places, layers = iter(range(1000)), core.transformer.h
    for layer in layers[1:]:
        for name in ("linear_1", "linear_2"):  # with biases, the code shares them too; its published configs have none
            assert getattr(layer.ffn, name).weight is getattr(layers[0].ffn, name).weight
            assert getattr(layer.ffn, name).bias is getattr(layers[0].ffn, name).bias
        assert layer.ffn_norm.weight is not layers[0].ffn_norm.weight

    def vector(n, around=0):
        return reference.drawn(next(places), n, scale=0.5, around=around)

    def matrix(rows, columns):
        return reference.drawn(next(places), rows, columns, scale=math.sqrt(3 / rows)).T

    with torch.no_grad():
        for i, layer in enumerate(layers):
            qkv = [(matrix(width, width), vector(width)) for _ in range(3)]
            layer.attn.c_attn.weight.copy_(torch.cat([w for w, _ in qkv]))
            layer.attn.c_attn.bias.copy_(torch.cat([b for _, b in qkv]))
            layer.attn.c_proj.weight.copy_(matrix(width, width))
            layer.attn.c_proj.bias.copy_(vector(width))
            for norm in (layer.attn_norm, layer.ffn_norm):
                norm.weight.copy_(vector(width, around=1))
                norm.bias.copy_(vector(width))
            if i == 0:
                layer.ffn.linear_1.weight.copy_(matrix(width, inner))
                layer.ffn.linear_1.bias.copy_(vector(inner))
                layer.ffn.linear_2.weight.copy_(matrix(inner, width))
                layer.ffn.linear_2.bias.copy_(vector(width))
    states = []
    for layer in layers:
        layer.register_forward_hook(lambda module, given, out: states.append(out))
    core(reference.drawn(next(places), SHARED["batch"], SHARED["length"], width))
    (1.5 * states[-1]).sin().sum().backward()
    first = layers[0].ffn
    return SHARED | {"states": [reference.numbers(s.reshape(-1, width)) for s in states], "ffn_in": reference.numbers(first.linear_1.weight.grad.T),
                     "ffn_out": reference.numbers(first.linear_2.weight.grad.T), "ffn_in_bias": reference.numbers(first.linear_1.bias.grad),
                     "ffn_out_bias": reference.numbers(first.linear_2.bias.grad)}


def main():
    folder, fixture = reference.opened(COMMIT)
    sys.path.insert(0, str(folder))
    for name in ("models", "models.experimental"):
        reference.package(name, folder / name.replace(".", "/"))
    reference.absent("hydra", utils=types.SimpleNamespace(to_absolute_path=lambda path: str(folder / path)))
    reference.absent("trainers")
    reference.absent("trainers.utils", load_data=None)
    reference.write(fixture, {
        "about": f"SuperTinyLanguageModels at {COMMIT[:7]}, run by scripts/parity/supertiny.py with torch {torch.__version__}, float32. \"pools\": of each width of bytes the ids of the "
                 "tokens' bytes, the tokens' vectors, and by weight the slope of their loss and its gradient's norm. \"shared\": states after each layer, and gradients.",
        "tokens": TOKENS, "width": WIDTH, "bytes": BYTES, "pools": [pooled(16), pooled(128)], "shared": shared(),
    })


if __name__ == "__main__":
    main()
