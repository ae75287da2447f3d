"""Reference values of tiny random models from transformers, one a family, for tests/parity.

Everything is computed in float64 from fp32 weights, so that the reference's own rounding does not count.
Run:  python scripts/reference/make_transformer_fixtures.py [FAMILY ...]        (torch 2.11.0, transformers 5.17.0)
Writes tests/fixtures/parity/FAMILY_tiny/: a model folder, and reference.safetensors with the batches and results.
"""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import (BartConfig, BartForConditionalGeneration, BigBirdPegasusConfig, BigBirdPegasusForConditionalGeneration, LEDConfig, LEDForConditionalGeneration,
                          MBartConfig, MBartForConditionalGeneration, PegasusConfig, PegasusForConditionalGeneration, T5Config,
                          T5ForConditionalGeneration)
from transformers.modeling_outputs import BaseModelOutput
from transformers.trainer_pt_utils import LabelSmoother, get_parameter_names

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "fixtures", "parity")
SEED = 20260
SOURCE_LENGTHS = [[7, 1, 12, 5], [3, 9], [16, 2, 4]]
TARGET_LENGTHS = [[4, 6, 1, 3], [5, 2], [7, 3, 8]]
SHAPE = dict(vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=2,
             encoder_ffn_dim=48, decoder_ffn_dim=40, max_position_embeddings=24, dropout=0.0, scale_embedding=True, init_std=0.2)
# Windows smaller than most sources, one a layer (transformers pads to the largest); no embedding scale, two position tables.
LED_SHAPE = {key: value for key, value in SHAPE.items() if key not in ("max_position_embeddings", "scale_embedding")}
LED_SHAPE.update(attention_window=[4, 8], max_encoder_position_embeddings=24, max_decoder_position_embeddings=12)
# BigBird attends in full up to (5 + 2 * random blocks) * block size = 36 tokens; then the last block is whole, or has one token or more.
BIGBIRD_SHAPE = dict(SHAPE, max_position_embeddings=64, block_size=4, num_random_blocks=2)
BIGBIRD_SOURCE_LENGTHS = [[7, 37, 12, 53], [36, 44], [61, 2, 40]]
# So few buckets and so small a distance that both stacks have near, logarithmic and far distances. transformers cannot generate with more
# layers in the decoder than in the encoder.
T5_SHAPE = dict(vocab_size=99, d_model=32, d_kv=8, d_ff=40, num_layers=3, num_decoder_layers=2, num_heads=4, relative_attention_num_buckets=8,
                relative_attention_max_distance=7, dropout_rate=0.0, decoder_start_token_id=0)


def gated_t5():
    """As T5 v1.1 and FLAN-T5: heads narrower than the model, a gate, an output table of its own, no factor on the result."""
    shape = {**T5_SHAPE, "d_kv": 16, "num_heads": 3, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = T5ForConditionalGeneration(T5Config(**shape))
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight))
    return model


FAMILIES = {
    "bart": lambda: BartForConditionalGeneration(BartConfig(activation_function="gelu", **SHAPE)),
    "bigbird_pegasus": lambda: BigBirdPegasusForConditionalGeneration(BigBirdPegasusConfig(**BIGBIRD_SHAPE)),
    "led": lambda: LEDForConditionalGeneration(LEDConfig(activation_function="gelu", **LED_SHAPE)),
    "mbart": lambda: MBartForConditionalGeneration(MBartConfig(activation_function="gelu", decoder_start_token_id=98, **SHAPE)),
    "pegasus": lambda: PegasusForConditionalGeneration(PegasusConfig(activation_function="relu", **SHAPE)),
    "t5": lambda: T5ForConditionalGeneration(T5Config(feed_forward_proj="relu", **T5_SHAPE)),
    "t5_gated": gated_t5,
}


def make_model(family):
    torch.manual_seed(SEED)
    model = FAMILIES[family]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # biases and norms start trivial, which would hide mistakes
                parameter.add_(0.1 * torch.randn_like(parameter))
            if "relative_attention_bias" in name:  # starts small
                parameter.mul_(5)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_(0.3 * torch.randn_like(model.final_logits_bias))
    return model


def source_lengths(family):
    return BIGBIRD_SOURCE_LENGTHS if family == "bigbird_pegasus" else SOURCE_LENGTHS


def make_batches(family):
    generator = torch.Generator().manual_seed(SEED + 1)
    draw = lambda n: torch.randint(3, 99, (n,), generator=generator)
    return [([draw(n) for n in s], [draw(n) for n in t]) for s, t in zip(source_lengths(family), TARGET_LENGTHS)]


def pad(rows, value):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def inputs_of(batch, config):
    sources, targets = batch
    start = config.decoder_start_token_id
    # Written out: mBART's own shift takes each row's last label as its start.
    inputs = pad([torch.cat([torch.tensor([start]), t[:-1]]) for t in targets], 1)
    masks = {"attention_mask": pad([torch.ones_like(s) for s in sources], 0)}
    if config.model_type == "led":  # the first token sees all and is seen by all
        masks["global_attention_mask"] = torch.zeros_like(masks["attention_mask"])
        masks["global_attention_mask"][:, 0] = 1
    return {"input_ids": pad(sources, 1), **masks, "labels": pad(targets, -100), "decoder_input_ids": inputs}


def allow_sparse_attention(model):
    """A sequence that is attended to in full leaves the model in that mode for good."""
    if model.config.model_type == "bigbird_pegasus":
        model.get_encoder().set_attention_type("block_sparse")


def run(model, batch):
    """The model on a padded batch. BigBird's mode follows the batch's padded length: its encoder runs each source alone."""
    inputs = inputs_of(batch, model.config)
    if model.config.model_type != "bigbird_pegasus":
        return model(**inputs)
    states = []
    for source in batch[0]:
        allow_sparse_attention(model)
        states.append(model.get_encoder()(input_ids=source[None]).last_hidden_state[0])
    encoded = BaseModelOutput(last_hidden_state=pad(states, 0.0))
    return model(encoder_outputs=encoded, **{name: value for name, value in inputs.items() if name != "input_ids"})


def unpad(x, lengths):
    return torch.cat([x[i, :n] for i, n in enumerate(lengths)])


def gradients(model):
    return {name: (p.grad if p.grad is not None else torch.zeros_like(p)).clone() for name, p in model.named_parameters()}


def adamw_losses(model, batches):
    # As Trainer.get_decay_parameter_names.
    names = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    decayed = set(get_parameter_names(model, [torch.nn.LayerNorm], names))
    groups = [{"params": [p for n, p in model.named_parameters() if n in decayed], "weight_decay": 0.1},
              {"params": [p for n, p in model.named_parameters() if n not in decayed], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-8)
    losses = []
    for step in range(10):
        loss = run(model, batches[step % len(batches)]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


# Ids that LED's second reference makes global beside the first token.
NAMED_GLOBALS = (43, 67, 93)


def encoded_with_named_globals(model, batch, lengths):
    inputs = inputs_of(batch, model.config)
    mask = inputs["global_attention_mask"]
    for named in NAMED_GLOBALS:
        mask |= (inputs["input_ids"] == named) & (inputs["attention_mask"] == 1)
    hidden = model.get_encoder()(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], global_attention_mask=mask)
    return unpad(hidden.last_hidden_state, lengths)


BEAMS = dict(num_beams=3, max_length=12, no_repeat_ngram_size=2, length_penalty=1.5, early_stopping=True, forced_eos_token_id=None)


def generated(model, batches):
    """Ids of each document of all batches, run alone in fp32, so that padding plays no part."""
    documents = []
    model.generation_config.forced_eos_token_id = None
    for sources, _ in batches:
        for source in sources:
            masks = {"attention_mask": torch.ones(1, len(source), dtype=torch.long)}
            if model.config.model_type == "led":
                masks["global_attention_mask"] = torch.zeros_like(masks["attention_mask"])
                masks["global_attention_mask"][:, 0] = 1
            allow_sparse_attention(model)
            ids = model.generate(input_ids=source[None], **masks, do_sample=False, **BEAMS)[0].tolist()
            documents.append({"source": source.tolist(), "ids": ids})
    return documents


def as_published(folder, model, inputs):
    """Says of the output table what v1.1's config.json says, instead of what transformers 5 makes of it."""
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["tie_word_embeddings"] = False
    del config["scale_decoder_outputs"]
    with open(path, "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    again = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    assert torch.equal(again.eval()(**inputs).logits, model.eval()(**inputs).logits)


def write(family):
    folder = os.path.join(OUT, family + "_tiny")
    os.makedirs(folder, exist_ok=True)
    model = make_model(family)
    model.save_pretrained(folder)
    batches = make_batches(family)
    lengths = source_lengths(family)
    if family == "t5_gated":
        as_published(folder, model, inputs_of(batches[0], model.config))
    with open(os.path.join(folder, "generated.json"), "w") as f:
        json.dump(generated(model.eval(), batches), f)
        f.write("\n")
    model = model.double()
    model.eval()
    out = {}
    for k, batch in enumerate(batches):
        for side, rows in zip(("source", "target"), batch):
            out[f"batch{k}.{side}_ids"] = torch.cat(rows)
            out[f"batch{k}.{side}_lengths"] = torch.tensor([len(r) for r in rows])
        inputs = inputs_of(batch, model.config)
        result = run(model, batch)
        out[f"batch{k}.encoded"] = unpad(result.encoder_last_hidden_state, lengths[k])
        out[f"batch{k}.logits"] = unpad(result.logits, TARGET_LENGTHS[k])
        out[f"batch{k}.loss"] = result.loss
        out[f"batch{k}.smoothed_loss"] = LabelSmoother(epsilon=0.1)(result, inputs["labels"])
        if family == "led":
            out[f"batch{k}.encoded_with_named_globals"] = encoded_with_named_globals(model, batch, lengths[k])
    for name, smoothing in (("gradient", 0.0), ("smoothed_gradient", 0.1)):
        model.zero_grad()
        inputs = inputs_of(batches[0], model.config)
        result = run(model, batches[0])
        (LabelSmoother(epsilon=smoothing)(result, inputs["labels"]) if smoothing else result.loss).backward()
        out.update({f"{name}.{n}": g.float() for n, g in gradients(model).items()})  # rounding far under the tolerance
    model.zero_grad()
    out["adamw_losses"] = torch.tensor(adamw_losses(model, batches), dtype=torch.float64)
    out = {k: v.detach().contiguous().clone() for k, v in out.items()}
    save_file(out, os.path.join(folder, "reference.safetensors"))
    with open(os.path.join(folder, "made_with.json"), "w") as f:
        json.dump({"seed": SEED, "torch": torch.__version__, "transformers": transformers.__version__,
                   "command": f"python scripts/reference/make_transformer_fixtures.py {family}"}, f, indent=2)
    print(family, out["adamw_losses"], out["batch0.loss"], out["batch0.smoothed_loss"])


if __name__ == "__main__":
    for name in sys.argv[1:] or FAMILIES:
        write(name)
