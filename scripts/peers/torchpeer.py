#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metrolab's pretraining step in PyTorch.

    torchpeer.py TASK hf|masked|same|compiled

hf is Hugging Face's ELECTRA as it is shipped: ElectraForMaskedLM gives logits at every position, of which the labels pick the
masked ones. masked is the same classes with the vocabulary head at masked positions only. same is metrolab's own model, written
for speed in plain PyTorch: one product for queries, keys and values, fused attention, masked positions only. compiled is same
through torch.compile. All of them use AdamW in its fused form, begin with metrolab's first weights and read its batches; hf and
masked draw their samples themselves.
"""

import math
import os
import re
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import peer

HF_NAMES = [
    (r"shared\.token_embedding", lambda m: "embeddings.word_embeddings.weight"),
    (r"shared\.(position|token_type)_embedding", lambda m: f"embeddings.{m[1]}_embeddings.weight"),
    (r"shared\.embedding_norm\.(\w+)", lambda m: f"embeddings.LayerNorm.{m[1]}"),
    (r"\w+\.embedding_projection\.(\w+)", lambda m: f"embeddings_project.{m[1]}"),
    (r"\w+\.layer_(\d+)\.attention\.output\.(\w+)", lambda m: f"encoder.layer.{m[1]}.attention.output.dense.{m[2]}"),
    (r"\w+\.layer_(\d+)\.attention\.(\w+)\.(\w+)", lambda m: f"encoder.layer.{m[1]}.attention.self.{m[2]}.{m[3]}"),
    (r"\w+\.layer_(\d+)\.attention_norm\.(\w+)", lambda m: f"encoder.layer.{m[1]}.attention.output.LayerNorm.{m[2]}"),
    (r"\w+\.layer_(\d+)\.ffn_in\.(\w+)", lambda m: f"encoder.layer.{m[1]}.intermediate.dense.{m[2]}"),
    (r"\w+\.layer_(\d+)\.ffn_out\.(\w+)", lambda m: f"encoder.layer.{m[1]}.output.dense.{m[2]}"),
    (r"\w+\.layer_(\d+)\.ffn_norm\.(\w+)", lambda m: f"encoder.layer.{m[1]}.output.LayerNorm.{m[2]}"),
    (r"main\.rtd\.transform\.(\w+)", lambda m: f"/discriminator_predictions.dense.{m[1]}"),
    (r"main\.rtd\.output\.(\w+)", lambda m: f"/discriminator_predictions.dense_prediction.{m[1]}"),
    (r"generator\.head\.transform\.(\w+)", lambda m: f"/generator_predictions.dense.{m[1]}"),
    (r"generator\.head\.norm\.(\w+)", lambda m: f"/generator_predictions.LayerNorm.{m[1]}"),
    (r"generator\.head\.output_bias", lambda m: "/generator_lm_head.bias"),
]
KINDS = {"weights": "weight", "gain": "weight", "offset": "bias"}


def hf_name(name):
    """The name of one of metrolab's weights in ElectraForPreTraining or ElectraForMaskedLM."""
    for pattern, made in HF_NAMES:
        if m := re.fullmatch(pattern, name):
            head, _, kind = made(m).rpartition(".")
            path = f"{head}.{KINDS.get(kind, kind)}"
            return path[1:] if path[0] == "/" else f"electra.{path}"
    raise ValueError(f"Hugging Face's ELECTRA has no place for {name}")


def hf_models(task):
    """ElectraForMaskedLM and ElectraForPreTraining with metrolab's weights, embeddings and their normalisation shared."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    c = task.config
    if c["objective"]["name"] != "rtd" or c["positions"]["relative"] != "none":
        raise ValueError("Hugging Face's ELECTRA has no relative positions and no corrective language modelling")

    def config(e):
        return ElectraConfig(
            vocab_size=task.vocab, embedding_size=c["embeddings"]["width"], hidden_size=e["width"], num_hidden_layers=e["layers"],
            num_attention_heads=e["heads"], intermediate_size=e["ffn"], max_position_embeddings=c["positions"]["rows"],
            layer_norm_eps=e["epsilon"], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=task.pad)

    generator, main = ElectraForMaskedLM(config(c["generator"])), ElectraForPreTraining(config(c["main"]))
    state = {"main": {}, "generator": {}}
    for name, w in task.weights().items():
        w = torch.from_numpy(w.T.copy() if name.endswith(".weights") else w)
        for owner in state if name.startswith("shared.") else [name.split(".")[0]]:
            state[owner][hf_name(name)] = w
    for owner, model in (("main", main), ("generator", generator)):
        left = model.load_state_dict(state[owner], strict=False)
        missing = [k for k in left.missing_keys if "position_ids" not in k and k != "generator_lm_head.weight"]
        if missing or left.unexpected_keys:
            raise ValueError(f"weights of the {owner} do not fit: {missing} {left.unexpected_keys}")
    generator.electra.embeddings = main.electra.embeddings
    generator.generator_lm_head.weight = main.electra.embeddings.word_embeddings.weight
    return generator.train(), main.train()


def hf_loss(task, everywhere):
    generator, main = hf_models(task)
    o = task.config["objective"]

    def loss(b):
        rows = torch.arange(len(b["tokens"]))[:, None]
        attention = (b["tokens"] != task.pad).long()
        originals = b["tokens"].gather(1, b["positions"])
        if everywhere:
            labels = torch.full_like(b["tokens"], -100).scatter(1, b["positions"], originals)
            out = generator(input_ids=b["masked"], attention_mask=attention, labels=labels)
            logits, generator_loss = out.logits[rows, b["positions"]], out.loss
        else:
            states = generator.electra(input_ids=b["masked"], attention_mask=attention).last_hidden_state[rows, b["positions"]]
            logits = generator.generator_lm_head(generator.generator_predictions(states))
            generator_loss = F.cross_entropy(logits.flatten(0, 1), originals.flatten())
        with torch.no_grad():
            samples = torch.multinomial(logits.flatten(0, 1).softmax(-1), 1).view_as(originals)
        corrupted = b["tokens"].scatter(1, b["positions"], samples)
        rtd = main(input_ids=corrupted, attention_mask=attention, labels=(corrupted != b["tokens"]).long()).loss
        return o["generator_weight"] * generator_loss + o["rtd_weight"] * rtd, {"generator": generator_loss, "rtd": rtd}

    named = {}
    for model in (main, generator):
        for name, w in model.named_parameters():
            named.setdefault(id(w), (name, w))
    spared = lambda name: name.endswith("bias") or "LayerNorm" in name
    return loss, [w for name, w in named.values() if not spared(name)], [w for name, w in named.values() if spared(name)]


class Same:
    """metrolab's model over its own names, dense weights turned to PyTorch's [out, in]."""

    def __init__(self, task):
        self.task, self.c = task, task.config
        weights = task.weights()
        for name in [n for n in weights if n.endswith(".attention.query.weights")]:
            for kind in ("weights", "bias"):
                stem = name.removesuffix("query.weights")
                parts = [torch.from_numpy(weights.pop(f"{stem}{part}.{kind}")) for part in ("query", "key", "value")]
                weights[f"{stem}qkv.{kind}"] = torch.cat(parts, -1).numpy()
        turn = lambda name, w: torch.from_numpy(w.T.copy() if name.endswith(".weights") else w)
        self.w = {name: turn(name, w).requires_grad_() for name, w in weights.items()}
        p = self.c["positions"]
        if p["relative"] != "none":
            self.buckets = torch.tensor(peer.offsets(self.c["data"]["seq_len"], p["bins"], p["max_distance"]))

    def dense(self, name, x):
        return F.linear(x, self.w[f"{name}.weights"], self.w[f"{name}.bias"])

    def norm(self, name, x, e):
        gain = self.w[f"{name}.gain"]
        return F.layer_norm(x, gain.shape, gain, self.w[f"{name}.offset"], e["epsilon"])

    def activation(self, e, x):
        return F.gelu(x, approximate="tanh" if e["activation"] == "gelu_tanh" else "none")

    def encode(self, owner, tokens):
        e, w = self.c[owner], self.w
        b, s = tokens.shape
        x = F.embedding(tokens, w["shared.token_embedding"]) + w["shared.position_embedding"][:s]
        if "shared.token_type_embedding" in w:
            x = x + w["shared.token_type_embedding"][0]
        x = self.norm("shared.embedding_norm" if "shared.embedding_norm.gain" in w else f"{owner}.embedding_norm", x, e)
        if f"{owner}.embedding_projection.weights" in w:
            x = self.dense(f"{owner}.embedding_projection", x)
        bias = torch.where(tokens == self.task.pad, -1e9, 0.0)[:, None, None, :]
        if f"{owner}.relative_position_table" in w:
            bias = bias + self.c["positions"]["scale"] * w[f"{owner}.relative_position_table"][self.buckets].permute(2, 0, 1)
        for i in range(e["layers"]):
            at = f"{owner}.layer_{i}"
            q, k, v = self.dense(f"{at}.attention.qkv", x).view(b, s, 3, e["heads"], -1).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x = self.norm(f"{at}.attention_norm", x + self.dense(f"{at}.attention.output", mixed.transpose(1, 2).reshape(b, s, -1)), e)
            inner = self.activation(e, self.dense(f"{at}.ffn_in", x))
            x = self.norm(f"{at}.ffn_norm", x + self.dense(f"{at}.ffn_out", inner), e)
        return x

    def generator_logits(self, states):
        e = self.c["generator"]
        x = self.activation(e, self.dense("generator.head.transform", states))
        if "generator.head.norm.gain" in self.w:
            x = self.norm("generator.head.norm", x, e)
        return F.linear(x, self.w["shared.token_embedding"], self.w["generator.head.output_bias"])

    def rtd_logits(self, x):
        if "main.rtd.transform.weights" in self.w:
            x = self.activation(self.c["main"], self.dense("main.rtd.transform", x))
        return self.dense("main.rtd.output", x)[..., 0]

    def loss(self, b):
        o, at = self.c["objective"], b["positions"]
        pick = lambda x: x.gather(1, at[..., None].expand(-1, -1, x.shape[-1]))
        originals = b["tokens"].gather(1, at)
        mean = lambda x, weights: (x * weights).sum() / weights.sum().clamp(min=1e-9)
        cross_entropy = lambda logits: mean(F.cross_entropy(logits.flatten(0, 1), originals.flatten(), reduction="none"), b["weights"].flatten())
        logits = self.generator_logits(pick(self.encode("generator", b["masked"])))
        with torch.no_grad():
            cumulative = logits.softmax(-1).cumsum(-1)
            samples = torch.searchsorted(cumulative, (b["uniforms"] * cumulative[..., -1])[..., None], right=True)[..., 0]
        corrupted = b["tokens"].scatter(1, at, samples.clamp(max=self.task.vocab - 1))
        states = self.encode("main", corrupted)
        rtd = F.binary_cross_entropy_with_logits(self.rtd_logits(states), (corrupted != b["tokens"]).float(), reduction="none")
        terms = {"generator": cross_entropy(logits), "rtd": mean(rtd, (b["tokens"] != self.task.pad).float())}
        if o["name"] == "rtd_clm":
            terms["clm"] = cross_entropy(F.linear(pick(states), self.w["shared.token_embedding"], self.w["main.clm.output_bias"]))
        return sum(o[f"{name}_weight"] * term for name, term in terms.items()), terms


def same_loss(task, compiled):
    model = Same(task)
    decayed = [w for name, w in model.w.items() if peer.decays(name)]
    return torch.compile(model.loss) if compiled else model.loss, decayed, [w for name, w in model.w.items() if not peer.decays(name)]


def main():
    task, kind = peer.Task(sys.argv[1]), sys.argv[2]
    loss_of, decayed, spared = {
        "hf": lambda: hf_loss(task, True), "masked": lambda: hf_loss(task, False),
        "same": lambda: same_loss(task, False), "compiled": lambda: same_loss(task, True),
    }[kind]()
    weights, o = decayed + spared, task.config["optimizer"]
    adamw = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": o["weight_decay"]}, {"params": spared, "weight_decay": 0.0}],
        lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"], fused=True)
    numbers = {}

    def tensors(i):
        return {name: torch.from_numpy(t).long() if t.dtype.kind == "i" else torch.from_numpy(t) for name, t in task.batch(i).items()}

    def step(i):
        nonlocal numbers
        loss, terms = loss_of(tensors(i))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, o["clip_norm"] or math.inf)
        adamw.step()
        adamw.zero_grad()
        numbers = {name: x.detach() for name, x in {"loss": loss, **terms}.items()}

    about = {"version": f"PyTorch {torch.__version__.split('+')[0]}", "parameters": sum(w.numel() for w in weights)}
    if kind in ("hf", "masked"):
        import transformers

        about["version"] += f", transformers {transformers.__version__}"
    if kind != "compiled":  # the counter sees no products of compiled code
        with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            loss_of(tensors(0))[0].backward()
        adamw.zero_grad()
        about["flops"] = counter.get_total_flops()
    peer.serve(step, lambda: {name: float(x) for name, x in numbers.items()}, **about)


if __name__ == "__main__":
    main()
