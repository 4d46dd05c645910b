#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metrolab's pretraining step in JAX: the same weights, batches, draws and losses.

    jaxpeer.py TASK [donate] [qkv] [scan]

Without a further word it is what one would write first: one compiled step, a loop over layers, three products for queries, keys
and values. donate gives the buffers of weights and moments back to the step; qkv makes the three products one; scan runs the
layers as one compiled body over stacked weights.
"""

import re
import sys
from functools import partial
from math import ceil, sqrt

import jax
import jax.numpy as jnp
import numpy as np

import peer

LAYER = re.compile(r"(main|generator)\.layer_(\d+)\.(.*)")


def nest(weights, qkv, scan):
    """Makes metrolab's flat names a tree: layers as a list, or stacked, below "main" and "generator"."""
    tree, layers = {}, {"main": {}, "generator": {}}
    for name, w in weights.items():
        if m := LAYER.fullmatch(name):
            layers[m[1]].setdefault(int(m[2]), {})[m[3]] = w
        else:
            tree[name] = w
    for owner, by_number in layers.items():
        ordered = [by_number[i] for i in sorted(by_number)]
        if qkv:
            for layer in ordered:
                for kind in ("weights", "bias"):
                    parts = [layer.pop(f"attention.{part}.{kind}") for part in ("query", "key", "value")]
                    layer[f"attention.qkv.{kind}"] = np.concatenate(parts, -1)
        if scan:
            ordered = {name: np.stack([layer[name] for layer in ordered]) for name in ordered[0]}
        tree[owner] = ordered
    return jax.tree.map(jnp.asarray, tree)


def dense(w, name, x):
    return x @ w[f"{name}.weights"] + w[f"{name}.bias"]


def layer_norm(w, name, x, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    x = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return x * w[f"{name}.gain"] + w[f"{name}.offset"]


ACTIVATIONS = {"gelu": partial(jax.nn.gelu, approximate=False), "gelu_tanh": partial(jax.nn.gelu, approximate=True)}


class Model:
    def __init__(self, task, qkv, scan):
        self.task, self.c, self.qkv, self.scan = task, task.config, qkv, scan
        p = self.c["positions"]
        if p["relative"] != "none":
            self.buckets = np.array(peer.offsets(self.c["data"]["seq_len"], p["bins"], p["max_distance"]))

    def attention(self, w, x, bias, heads):
        b, s, h = x.shape
        split = lambda y: y.reshape(b, s, heads, h // heads)
        if self.qkv:
            q, k, v = map(split, jnp.split(dense(w, "attention.qkv", x), 3, -1))
        else:
            q, k, v = (split(dense(w, f"attention.{part}", x)) for part in ("query", "key", "value"))
        logits = jnp.einsum("bqnd,bknd->bnqk", q, k) / sqrt(h // heads) + bias
        mixed = jnp.einsum("bnqk,bknd->bqnd", jax.nn.softmax(logits), v)
        return dense(w, "attention.output", mixed.reshape(b, s, h))

    def layer(self, e, bias, x, w):
        x = layer_norm(w, "attention_norm", x + self.attention(w, x, bias, e["heads"]), e["epsilon"])
        inner = ACTIVATIONS[e["activation"]](dense(w, "ffn_in", x))
        return layer_norm(w, "ffn_norm", x + dense(w, "ffn_out", inner), e["epsilon"])

    def encode(self, w, owner, tokens):
        e = self.c[owner]
        x = w["shared.token_embedding"][tokens] + w["shared.position_embedding"][: tokens.shape[1]]
        if "shared.token_type_embedding" in w:
            x = x + w["shared.token_type_embedding"][0]
        norm = "shared" if "shared.embedding_norm.gain" in w else owner
        x = layer_norm(w, f"{norm}.embedding_norm", x, e["epsilon"])
        if f"{owner}.embedding_projection.weights" in w:
            x = dense(w, f"{owner}.embedding_projection", x)
        bias = jnp.where(tokens == self.task.pad, -1e9, 0.0)[:, None, None, :]
        if f"{owner}.relative_position_table" in w:
            relative = w[f"{owner}.relative_position_table"][self.buckets].transpose(2, 0, 1)
            bias = bias + self.c["positions"]["scale"] * relative
        if self.scan:
            return jax.lax.scan(lambda x, w: (self.layer(e, bias, x, w), None), x, w[owner])[0]
        for layer in w[owner]:
            x = self.layer(e, bias, x, layer)
        return x

    def generator_logits(self, w, states):
        e = self.c["generator"]
        x = ACTIVATIONS[e["activation"]](dense(w, "generator.head.transform", states))
        if "generator.head.norm.gain" in w:
            x = layer_norm(w, "generator.head.norm", x, e["epsilon"])
        return x @ w["shared.token_embedding"].T + w["generator.head.output_bias"]

    def rtd_logits(self, w, states):
        x = states
        if "main.rtd.transform.weights" in w:
            x = ACTIVATIONS[self.c["main"]["activation"]](dense(w, "main.rtd.transform", x))
        return dense(w, "main.rtd.output", x)[..., 0]

    def loss(self, w, b):
        o, at = self.c["objective"], b["positions"]
        pick = lambda x: jnp.take_along_axis(x, at.reshape(at.shape + (1,) * (x.ndim - 2)), 1)
        originals, rows = pick(b["tokens"]), jnp.arange(at.shape[0])[:, None]
        logits = self.generator_logits(w, pick(self.encode(w, "generator", b["masked"])))
        corrupted = b["tokens"].at[rows, at].set(sample(jax.lax.stop_gradient(logits), b["uniforms"]))
        states = self.encode(w, "main", corrupted)
        z, replaced = self.rtd_logits(w, states), corrupted != b["tokens"]
        terms = {
            "generator": cross_entropy(logits, originals, b["weights"]),
            "rtd": mean(jax.nn.softplus(z) - z * replaced, b["tokens"] != self.task.pad),
        }
        if o["name"] == "rtd_clm":
            corrected = pick(states) @ w["shared.token_embedding"].T + w["main.clm.output_bias"]
            terms["clm"] = cross_entropy(corrected, originals, b["weights"])
        loss = sum(o[f"{name}_weight"] * term for name, term in terms.items())
        return loss, {"loss": loss, **terms}

    def step(self, w, m, v, b, rates):
        o, (lr, c1, c2) = self.c["optimizer"], rates
        gradients, terms = jax.grad(self.loss, has_aux=True)(w, b)
        norm = jnp.sqrt(sum(jnp.square(g).sum() for g in jax.tree.leaves(gradients)))
        scale = jnp.minimum(o["clip_norm"] / (norm + 1e-6), 1) if o["clip_norm"] > 0 else 1.0

        def update(path, w, m, v, g):
            g = g * scale
            m = o["beta1"] * m + (1 - o["beta1"]) * g
            v = o["beta2"] * v + (1 - o["beta2"]) * jnp.square(g)
            d = m * c1 / (jnp.sqrt(v * c2) + o["epsilon"])
            if peer.decays(path[-1].key):
                d = d + o["weight_decay"] * w
            return w - lr * d, m, v

        new = jax.tree_util.tree_map_with_path(update, w, m, v, gradients)
        return *jax.tree.transpose(jax.tree.structure(w), jax.tree.structure((0, 0, 0)), new), terms


def mean(x, weights):
    weights = weights.astype(x.dtype)
    return (x * weights).sum() / jnp.maximum(weights.sum(), 1e-9)


def cross_entropy(logits, targets, weights):
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    return mean(-picked, weights)


def sample(logits, u):
    """Draws a token a position by the inverse of the distribution function, in two levels of about √V as metrolab does."""
    b, p, v = logits.shape
    width = ceil(sqrt(v))
    blocks = -(-v // width)
    q = jnp.pad(jax.nn.softmax(logits).reshape(b * p, v), ((0, 0), (0, blocks * width - v))).reshape(b * p, blocks, width)

    def invert(masses, target):
        cumulative = jnp.cumsum(masses, -1)
        found = jnp.argmax((masses > 0) & (cumulative > target[:, None]), -1)
        before = jnp.take_along_axis(cumulative - masses, found[:, None], -1)[:, 0]
        return found, before

    sums = q.sum(-1)
    target = u.reshape(-1) * sums.sum(-1)
    block, before = invert(sums, target)
    offset, _ = invert(jnp.take_along_axis(q, block[:, None, None], 1)[:, 0], target - before)
    return (block * width + offset).reshape(b, p).astype(jnp.int32)


def products(jaxpr):
    """The floating-point operations of all matrix products in a jaxpr."""
    total = 0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            left = eqn.invars[0].aval.shape
            total += 2 * eqn.outvars[0].aval.size * int(np.prod([left[i] for i in contracted]))
        times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
        for inner in inner_jaxprs(eqn.params):
            total += times * products(inner)
    return total


def inner_jaxprs(params):
    for value in params.values():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                yield item


def main():
    words = set(sys.argv[2:])
    task = peer.Task(sys.argv[1])
    model = Model(task, "qkv" in words, "scan" in words)
    w = nest(task.weights(), model.qkv, model.scan)
    m, v = (jax.tree.map(jnp.zeros_like, w) for _ in range(2))
    batch = task.batch(0)
    flops = products(jax.make_jaxpr(model.step)(w, m, v, batch, tuple(task.rates(0))).jaxpr)
    compiled = jax.jit(model.step, donate_argnums=(0, 1, 2) if "donate" in words else ())
    state, terms = [w, m, v], {}
    parameters = sum(x.size for x in jax.tree.leaves(w))
    del w, m, v

    def step(i):
        nonlocal terms
        rates = tuple(np.float32(r) for r in task.rates(i))
        *state[:], terms = compiled(*state, task.batch(i), rates)

    peer.serve(step, lambda: {name: float(x) for name, x in terms.items()},
               version=f"JAX {jax.__version__}", parameters=parameters, flops=flops)


if __name__ == "__main__":
    main()
