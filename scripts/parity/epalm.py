#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixture of metro/epalm_test.go: what eP-ALM's published code makes of a text beside which a second model's states stand.

    git clone https://github.com/mshukor/eP-ALM && git -C eP-ALM checkout 7950109
    python3 -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.23.0 numpy==2.4.6
    venv/bin/python scripts/parity/epalm.py --reference eP-ALM metro/testdata/epalm.json

The code (MIT) is imported from the checkout: which states enter and by which map (models/epalm.py, models/connector.py), and which stands
in the slot at which layer (models/opt.py). The second model is an ELECTRA of transformers in the place of one that sees; it reads the same
row. The language model is given embeddings that are normalised already, and has no positions, no causal mask and post-norm layers
with GELU, which is a BERT. Weights are waves.
"""

import sys

import torch
from transformers import ElectraConfig, ElectraModel, OPTConfig

import reference

COMMIT = "7950109eccdf66e8978ace37a0563b575c67120e"
LAYERS, H, F, V, EPSILON = 4, 8, 12, 11, 1e-5
BELOW = dict(embedding_size=8, hidden_size=6, num_hidden_layers=3, num_attention_heads=3, intermediate_size=10)
ROWS = torch.tensor([[2, 5, 6, 7, 3], [2, 9, 10, 3, 0]])
CASES = [(1, 0, 4), (2, 0, 4), (3, 0, 4), (1, 2, 4), (2, 1, 4), (3, 1, 4), (1, 0, 3)]  # states, first layer, the layer before which it ends


class Second(torch.nn.Module):
    """The second model: the states after each of its layers, as the code's models return them."""

    def __init__(self):
        super().__init__()
        self.electra = ElectraModel(ElectraConfig(vocab_size=V, hidden_act="gelu", max_position_embeddings=16, layer_norm_eps=EPSILON, pad_token_id=0,
                                                  attn_implementation="eager", **BELOW)).eval()
        self.states, w, e = [], reference.Waves(300), self.electra.embeddings
        e.position_embeddings.weight.zero_(), e.token_type_embeddings.weight.zero_()
        w.table(e.word_embeddings)
        w.norm(e.LayerNorm)
        w.dense(self.electra.embeddings_project)
        for layer in self.electra.encoder.layer:
            w.bert(layer)
            layer.register_forward_hook(lambda module, given, out: self.states.append(out[0] if isinstance(out, tuple) else out))

    def forward(self, image, external_features=None):
        self.states.clear()
        self.electra(image, attention_mask=(image != 0).long())
        return None, list(self.states)


class Text(torch.nn.Module):
    """The language model, as ePALM calls it."""

    def __init__(self, opt, first, end):
        super().__init__()
        config = OPTConfig(vocab_size=V, hidden_size=H, ffn_dim=F, num_hidden_layers=LAYERS, num_attention_heads=2, word_embed_proj_dim=H, activation_function="gelu",
                           do_layer_norm_before=False, dropout=0.0, attention_dropout=0.0, max_position_embeddings=16, pad_token_id=0, attn_implementation="eager")
        config.use_vis_prefix, config.start_layer_idx, config.end_layer_idx = True, first, end
        config.use_cache, config.activation_dropout = False, 0.0
        self.decoder, self.slots = opt.OPTDecoder(config).eval(), []
        self.tokens, self.norm = torch.nn.Embedding(V, H), torch.nn.LayerNorm(H, eps=EPSILON)
        w = reference.Waves(0)
        w.table(self.tokens)
        w.norm(self.norm)
        self.decoder.embed_positions.weight.zero_()
        for layer in self.decoder.layers:
            a = layer.self_attn
            for d in (a.q_proj, a.k_proj, a.v_proj, a.out_proj):
                w.dense(d)
            w.norm(layer.self_attn_layer_norm)
            w.dense(layer.fc1)
            w.dense(layer.fc2)
            w.norm(layer.final_layer_norm)
            layer.register_forward_pre_hook(lambda module, given: self.slots.append(given[0] if given[0].shape[1] > ROWS.shape[1] else None))

    def forward(self, input_ids, attention_mask, return_dict, vis_prefix, labels, reduction, prompt_embeds, connector):
        self.slots.clear()
        out = self.decoder(inputs_embeds=self.norm(self.tokens(input_ids)), attention_mask=attention_mask, output_attentions=False, output_hidden_states=False, use_cache=False,
                           return_dict=True, vis_prefix=vis_prefix, prompt_embeds=prompt_embeds, connector=connector)
        self.order = [-1 if slot is None else next((i for i, v in enumerate(vis_prefix) if torch.equal(slot[:, 0], v[:, 0])), -2) for slot in self.slots]
        return out.last_hidden_state


class Tokens:
    input_ids, attention_mask = ROWS, (ROWS != 0).long()


def main():
    folder, fixture = reference.opened(COMMIT)
    torch.set_grad_enabled(False)
    sys.path.insert(0, str(folder))
    models = reference.package("models", folder / "models")
    models.vit = reference.absent("models.vit")
    reference.absent("models.timesformer", TimeSformer=None)
    reference.absent("models.ast", ASTModel=None)
    reference.absent("models.adapters", Adapter=None, ParallelAdapter=None, AdapterWrapper=None, ParallelAdapterWrapper=None)
    from models import connector, epalm, opt

    opt._make_causal_mask = lambda shape, dtype, past_key_values_length=0: torch.zeros(shape[0], 1, shape[1], shape[1], dtype=dtype)
    cases = []
    for states, first, end in CASES:
        m = epalm.ePALM.__new__(epalm.ePALM)  # what its __init__ does but for loading models
        torch.nn.Module.__init__(m)
        m.model_vision, m.model_text = Second(), Text(opt, first, end)
        m.injected_hidden_states, m.shared_connector, m.prompt_tuning, m.no_attention_mask = states, None, False, False
        m.connector = connector.connector(connector_type="linear", input_dim=BELOW["hidden_size"], output_dim=H, num_layers=states)
        w = reference.Waves(100)
        for c in m.connector:
            w.dense(c)
        out = m(image=ROWS, text=Tokens, mode="train")
        closer = (m.double()(image=ROWS, text=Tokens, mode="train") - out)[:, -ROWS.shape[1]:][ROWS != 0].abs().max()
        print(f"{states} states from layer {first} before layer {end}: slots {m.model_text.order}; float32 is within {float(closer):.1e} of float64")
        cases.append({"states": states, "first": first, "end": end, "slots": m.model_text.order, "text": reference.numbers(out[:, -ROWS.shape[1]:])})
    reference.write(fixture, {
        "about": f"eP-ALM at {COMMIT[:7]}, run by scripts/parity/epalm.py with torch {torch.__version__}. Of each case the number of states, the layers from which and before which they are put in, "
                 "which stands in the slot as a layer reads it (-1: there is none, -2: none of them), and the text's states after the last layer.",
        "rows": ROWS.tolist(), "cases": cases,
    })


if __name__ == "__main__":
    main()
