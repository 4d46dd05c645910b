#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""zeldarose's replaced token detection at metrolab's shapes, with its own training loop (PyTorch Lightning).

    zeldarosepeer.py TASK

It is zeldarose's RTDTrainingModel over Hugging Face's ELECTRA, embeddings shared as its option "electra" does. Its maths is its
own: logits at every position, the arg max in the place of a sample, a main model that reads the masked rows and classifies tokens
with a plain linear head, first weights of its own. It masks the tokens of metrolab's batches itself.
"""

import os
import sys
from importlib.metadata import version

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytorch_lightning as pl
import torch
import transformers
from loguru import logger
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForTokenClassification
from zeldarose.common import TrainConfig
from zeldarose.datasets.transform import TextBatch
from zeldarose.tasks.rtd import RTDTaskConfig, RTDTrainingModel

import peer


def batches(task):
    step = 0
    while True:
        tokens = torch.from_numpy(task.batch(step)["tokens"]).long()
        attention = tokens != task.pad
        special = torch.zeros_like(tokens, dtype=torch.bool)
        special[:, 0] = special[:, -1] = True
        yield TextBatch(tokens, attention, special, torch.zeros_like(tokens))
        step += 1


class Told(pl.Callback):
    """Lets the trainer go on for as many steps as the standard input says."""

    def __init__(self):
        self.left, self.first = peer.WARM_UP, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.left -= 1
        if self.first is not None:
            self.first.append(self.losses(trainer))
        if self.left:
            return
        if self.first is not None:
            versions = [f"{name} {version(name)}" for name in ("zeldarose", "torch", "transformers")]
            peer.say({"version": ", ".join(versions), "parameters": sum(w.numel() for w in module.parameters()), "losses": self.first})
            self.first = None
        else:
            peer.say({"loss": self.losses(trainer)})
        line = sys.stdin.readline()
        self.left = int(line or 0)
        trainer.should_stop = not line

    def losses(self, trainer):
        logged = trainer.callback_metrics
        names = {"loss": "combined_loss", "generator": "generator_loss", "rtd": "discriminator_loss"}
        return {name: float(logged.get(f"train/{key}_step", logged.get(f"train/{key}"))) for name, key in names.items()}


def main():
    logger.remove()
    task = peer.Task(sys.argv[1])
    c = task.config

    def config(e):
        return ElectraConfig(
            vocab_size=task.vocab, embedding_size=c["embeddings"]["width"], hidden_size=e["width"], num_hidden_layers=e["layers"],
            num_attention_heads=e["heads"], intermediate_size=e["ffn"], max_position_embeddings=c["positions"]["rows"],
            layer_norm_eps=e["epsilon"], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0,
            pad_token_id=task.pad)

    o = c["optimizer"]
    module = RTDTrainingModel(
        ElectraForTokenClassification(config(c["main"])), ElectraForMaskedLM(config(c["generator"])), task.mask, task.vocab,
        TrainConfig(betas=(o["beta1"], o["beta2"]), epsilon=o["epsilon"], learning_rate=o["learning_rate"], weight_decay=o["weight_decay"]),
        RTDTaskConfig(discriminator_loss_weight=c["objective"]["rtd_weight"], embeddings_sharing="electra", mask_ratio=c["masking"]["rate"]))
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=-1, max_epochs=1, gradient_clip_val=o["clip_norm"], callbacks=[Told()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1)
    data = torch.utils.data.DataLoader(Batches(task), batch_size=None)
    trainer.fit(module, data)


class Batches(torch.utils.data.IterableDataset):
    def __init__(self, task):
        self.task = task

    def __iter__(self):
        return batches(self.task)


if __name__ == "__main__":
    main()
