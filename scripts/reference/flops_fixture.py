"""Counts the FLOPs of tiny BART models with torch.utils.flop_counter, for tests/unit/metrics/flops_test.cpp.

    python scripts/reference/flops_fixture.py tests/fixtures/metrics/flops.json

Made with torch 2.11.0 and transformers 5.17 (eager attention, fp32, seed 0). Each example runs alone and unpadded, as ragged
batches compute. transformers multiplies the masked half of the decoder's own scores too; the fixture says how many pairs
(`masked_pairs`), so that the test can take it off.
"""
import json
import sys

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import BartConfig, BartForConditionalGeneration

LENGTHS = [(7, 3), (12, 5), (1, 1)]
CASES = {
    "all_trainable": [],
    "frozen_embeddings": ["embeddings"],
    "frozen_encoder": ["embeddings", "encoder.0", "encoder.1", "encoder.2"],
    "frozen_encoder_bottom": ["embeddings", "encoder.0"],
    "frozen_decoder": ["embeddings", "decoder.0", "decoder.1"],
    "frozen_decoder_bottom_and_encoder": ["embeddings", "encoder.0", "encoder.1", "encoder.2", "decoder.0"],
    "only_last_encoder_layer": ["embeddings", "encoder.0", "encoder.1", "decoder.0", "decoder.1"],
}


def make_model():
    torch.manual_seed(0)
    config = BartConfig(vocab_size=64, d_model=16, encoder_layers=3, decoder_layers=2, encoder_attention_heads=2,
                        decoder_attention_heads=2, encoder_ffn_dim=40, decoder_ffn_dim=24, max_position_embeddings=32,
                        dropout=0.0)
    config._attn_implementation = "eager"
    return BartForConditionalGeneration(config)


def freeze(model, parts):
    body = model.model
    for part in parts:
        if part == "embeddings":
            modules = [body.shared, body.encoder.embed_positions, body.decoder.embed_positions,
                       body.encoder.layernorm_embedding, body.decoder.layernorm_embedding]
        else:
            side, number = part.split(".")
            modules = [getattr(body, side).layers[int(number)]]
        for module in modules:
            for parameter in module.parameters():
                parameter.requires_grad_(False)


def count(model):
    forward = backward = 0
    for source, target in LENGTHS:
        ids = torch.randint(4, 64, (1, source))
        labels = torch.randint(4, 64, (1, target))
        with FlopCounterMode(display=False) as counter:
            loss = model(input_ids=ids, labels=labels).loss
        forward += counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            loss.backward()
        backward += counter.get_total_flops()
    return forward, backward


def masked_pairs():
    return sum(t * t - t * (t + 1) // 2 for _, t in LENGTHS)


def main():
    cases = {}
    for name, parts in CASES.items():
        model = make_model()
        freeze(model, parts)
        forward, backward = count(model)
        cases[name] = {"frozen": parts, "forward": forward, "backward": backward}
    fixture = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "lengths": LENGTHS,
        "masked_pairs": masked_pairs(),
        "cases": cases,
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(fixture, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
