#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixtures of metro/hf: small random models and what transformers computes with them.

    python3 -m venv venv && venv/bin/pip install -r scripts/parity/requirements.txt
    venv/bin/python scripts/parity/make.py metro/hf/testdata

An ELECTRA fixture is a folder

    discriminator/, generator/   as save_pretrained writes them, tokenizer files included
    reference.safetensors        the batch, every state, logit and loss, and every gradient

whose generator reads with the discriminator's embeddings (token, position and type tables, layer normalisation), as
ELECTRA ties them. A BERT fixture is one such folder and the states of its layers. All is computed in float64 from the
float32 weights of the folders, without dropout, and written as float32. The run prints how far PyTorch's own float32
is from its float64, which is what a tolerance must leave room for.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraTokenizer,
)

PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary(size):
    letters = [chr(ord("a") + i) for i in range(26)]
    pieces = SPECIAL + letters + ["##" + c for c in letters] + ["the", "##ing", "an", "##er"]
    assert size <= len(pieces)
    return {token: i for i, token in enumerate(pieces[:size])}


def randomise(model, generator):
    """Gives every parameter a value that its place would show: no zeros, no ones, states of order 1.

    A key bias moves all logits of a softmax alike, so its gradient is 0 and float32 leaves nothing but noise there.
    Queries and the RTD output are drawn smaller to keep that noise well below the tolerance's absolute part, 1e-7.
    """
    smaller = {"query": 0.2, "dense_prediction": 0.2}
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator) * smaller.get(name.split(".")[-2], 1)
            if "LayerNorm.weight" in name:
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.2 * noise)
            elif "embeddings." in name:
                p.copy_(0.3 * noise)
            else:
                p.copy_(noise / p.shape[1] ** 0.5)


def batch(vocab, lengths, length, slots, generator):
    """Rows of ids, the masked positions with their weights, and fixed samples; the first sample of each row is the
    original, and a slot of a row that has no more candidates weighs nothing and points at position 0."""
    rows = len(lengths)
    tokens = torch.full((rows, length), PAD)
    positions = torch.zeros(rows, slots, dtype=torch.long)
    weights = torch.zeros(rows, slots)
    samples = torch.full((rows, slots), len(SPECIAL))
    draw = lambda n: torch.randint(len(SPECIAL), vocab, (n,), generator=generator)
    for i, n in enumerate(lengths):
        tokens[i, 0], tokens[i, n - 1], tokens[i, 1 : n - 1] = CLS, SEP, draw(n - 2)
        k = min(slots, max(1, (n - 2) // 3))
        positions[i, :k] = 1 + torch.randperm(n - 2, generator=generator)[:k]
        weights[i, :k] = 1
        samples[i] = draw(slots)
        samples[i, 0] = tokens[i, positions[i, 0]]
    return tokens, positions, weights, samples


def at(states, positions):
    return states.gather(1, positions[..., None].expand(-1, -1, states.shape[-1]))


def electra_pass(discriminator, generator, tokens, positions, weights, samples):
    """What ELECTRA computes in a step, with the samples given. Returns a dict of tensors."""
    rows = torch.arange(len(tokens))[:, None].expand_as(positions)
    live = weights > 0
    real = (tokens != PAD).long()
    masked, corrupted = tokens.clone(), tokens.clone()
    masked[rows[live], positions[live]] = MASK
    corrupted[rows[live], positions[live]] = samples[live]
    originals = tokens.gather(1, positions)

    out = {}
    made = generator(masked, attention_mask=real, output_hidden_states=True)
    logits = at(made.logits, positions)
    out["generator_logits"] = logits
    out["generator_loss"] = F.cross_entropy(logits[live], originals[live])

    found = discriminator(corrupted, attention_mask=real, output_hidden_states=True, labels=(corrupted != tokens).long())
    out["rtd_logits"], out["rtd_loss"] = found.logits, found.loss
    out["loss"] = out["generator_loss"] + 50 * out["rtd_loss"]

    for name, result in (("generator", made), ("main", found)):
        for i, state in enumerate(result.hidden_states):
            out[f"{name}_state_{i}"] = state  # 0: the embeddings, as the first layer reads them
    out["loss"].backward()
    for name, model in (("discriminator", discriminator), ("generator", generator)):
        for parameter, p in model.named_parameters():
            if name == "discriminator" or not parameter.startswith("electra.embeddings."):
                out[f"gradient.{name}.{parameter}"] = p.grad
    inputs = {"tokens": tokens, "positions": positions, "samples": samples}
    return {**{k: v.int() for k, v in inputs.items()}, "weights": weights, **out}


def electra_pair(dtype, main, generator_shape, seed):
    config = lambda shape: ElectraConfig(
        **shape, hidden_dropout_prob=0, attention_probs_dropout_prob=0, attn_implementation="eager"
    )
    noise = torch.Generator().manual_seed(seed)
    discriminator, generator = ElectraForPreTraining(config(main)), ElectraForMaskedLM(config({**main, **generator_shape}))
    randomise(discriminator, noise)
    randomise(generator, noise)
    discriminator, generator = discriminator.to(dtype).eval(), generator.to(dtype).eval()
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.tie_weights()
    return discriminator, generator


def electra(folder, main, generator_shape, lengths, length, slots, seed):
    given = batch(main["vocab_size"], lengths, length, slots, torch.Generator().manual_seed(seed + 1))
    results = {}
    for dtype in (torch.float32, torch.float64):
        discriminator, generator = electra_pair(dtype, main, generator_shape, seed)
        if dtype == torch.float32:
            for name, model in (("discriminator", discriminator), ("generator", generator)):
                model.save_pretrained(folder / name)
                ElectraTokenizer(vocab=vocabulary(main["vocab_size"])).save_pretrained(folder / name)
        tokens, positions, weights, samples = given
        results[dtype] = electra_pass(discriminator, generator, tokens, positions, weights.to(dtype), samples)
    save(folder / "reference.safetensors", results[torch.float64])
    report(folder.name, results[torch.float32], results[torch.float64])


def bert(folder, shape, lengths, length, seed):
    tokens, *_ = batch(shape["vocab_size"], lengths, length, 1, torch.Generator().manual_seed(seed + 1))
    real = (tokens != PAD).long()
    results = {}
    for dtype in (torch.float32, torch.float64):
        model = BertModel(BertConfig(**shape, hidden_dropout_prob=0, attention_probs_dropout_prob=0, attn_implementation="eager"))
        randomise(model, torch.Generator().manual_seed(seed))
        model = model.to(dtype).eval()
        if dtype == torch.float32:
            model.save_pretrained(folder)
            ElectraTokenizer(vocab=vocabulary(shape["vocab_size"])).save_pretrained(folder)
        with torch.no_grad():
            states = model(tokens, attention_mask=real, output_hidden_states=True).hidden_states
        results[dtype] = {"tokens": tokens.int()} | {f"main_state_{i}": state for i, state in enumerate(states)}
    save(folder / "reference.safetensors", results[torch.float64])
    report(folder.name, results[torch.float32], results[torch.float64])


def save(path, tensors):
    about = f"scripts/parity/make.py, torch {torch.__version__}, transformers {__import__('transformers').__version__}, computed in float64"
    narrow = lambda t: t.detach().contiguous().to(torch.int32 if t.dtype == torch.int32 else torch.float32)
    save_file({k: narrow(v) for k, v in tensors.items()}, path, metadata={"about": about})


def report(name, f32, f64):
    forward, gradient = 0.0, 0.0
    for key, exact in f64.items():
        difference = (f32[key].double() - exact.double()).detach()
        if key.startswith("gradient."):
            gradient = max(gradient, float(difference.norm() / (1e-4 * exact.norm() + 1e-7)))
        elif exact.dtype != torch.int32:
            forward = max(forward, float(difference.abs().max()))
    print(f"{name}: PyTorch float32 against float64: forward {forward:.1e}, gradients {gradient:.3f} of the tolerance")


def main():
    out = Path(sys.argv[1])
    # ELECTRA's proportions: one head a 64 of width and at least one, inner width 4, generator half as wide.
    electra(
        out / "electra",
        dict(vocab_size=48, embedding_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=1,
             intermediate_size=128, max_position_embeddings=10),
        dict(hidden_size=16, intermediate_size=64),
        lengths=[10, 10], length=10, slots=3, seed=1,
    )
    # Nothing divides into anything by chance: heads, factorised embeddings, padding, epsilon, depths, empty slots.
    electra(
        out / "electra-odd",
        dict(vocab_size=53, embedding_size=14, hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
             intermediate_size=40, max_position_embeddings=16, layer_norm_eps=1e-3),
        dict(hidden_size=10, num_hidden_layers=1, num_attention_heads=2, intermediate_size=22),
        lengths=[13, 8, 4], length=13, slots=4, seed=2,
    )
    bert(
        out / "bert",
        dict(vocab_size=40, hidden_size=20, num_hidden_layers=2, num_attention_heads=4, intermediate_size=28,
             max_position_embeddings=12, layer_norm_eps=1e-12),
        lengths=[12, 7], length=12, seed=3,
    )


if __name__ == "__main__":
    main()
