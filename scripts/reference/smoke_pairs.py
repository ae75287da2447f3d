#!/usr/bin/env python3
"""Makes what configs/smoke/tiny_bart.yaml needs: made-up pairs and the folder of a tiny BART without weights.

    python scripts/reference/smoke_pairs.py

Writes tests/fixtures/smoke/{train,validation,test}.jsonl (200, 24 and 24 pairs, seed 7) and
configs/smoke/tiny-bart/: config.json, generation_config.json, tokenizer_config.json and tokenizer.json, a byte-level BPE of
400 tokens, trained on the pairs. Made with Python 3.11 and tokenizers 0.23.3.
"""

import json
import pathlib
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEED = 7
SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]

ANIMALS = ["fox", "bear", "owl", "hare", "crow", "wolf", "toad", "lynx"]
COLOURS = ["red", "grey", "white", "brown"]
ACTIONS = ["chased", "watched", "greeted", "helped"]
PLACES = ["by the lake", "in the forest", "near the mill", "on the hill", "under the bridge"]
FILLERS = ["The sky was clear.", "Rain fell all day.", "Nobody else was there.", "It was early in spring.",
           "A cold wind blew from the north."]


def make_pair(rng: random.Random) -> tuple[str, str]:
    """One document of three to five sentences, and its summary."""
    first, second = rng.sample(ANIMALS, 2)
    colour = rng.choice(COLOURS)
    action = rng.choice(ACTIONS)
    place = rng.choice(PLACES)
    sentences = rng.sample(FILLERS, rng.randint(1, 3))
    sentences.insert(rng.randint(0, len(sentences)), f"A {colour} {first} {action} a {second} {place}.")
    if rng.random() < 0.5:
        sentences.append(f"The {second} went home.")
    return " ".join(sentences), f"{colour} {first} {action} {second} {place}"


def write_pairs() -> list[str]:
    rng = random.Random(SEED)
    folder = ROOT / "tests" / "fixtures" / "smoke"
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    texts = []
    for split, count in (("train", 200), ("validation", 24), ("test", 24)):
        lines = []
        while len(lines) < count:
            document, summary = make_pair(rng)
            if document in seen:
                continue
            seen.add(document)
            texts += [document, summary]
            pair = {"id": f"{split}-{len(lines)}", "document": document, "summary": summary}
            lines.append(json.dumps(pair, ensure_ascii=False))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return texts


def write_model(texts: list[str]) -> None:
    folder = ROOT / "configs" / "smoke" / "tiny-bart"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL_TOKENS, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True,
                                                            add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "activation_dropout": 0.0, "activation_function": "gelu", "architectures": ["BartForConditionalGeneration"],
        "attention_dropout": 0.0, "bos_token_id": 0, "d_model": 64, "decoder_attention_heads": 4,
        "decoder_ffn_dim": 128, "decoder_layers": 2, "decoder_start_token_id": 2, "dropout": 0.0,
        "encoder_attention_heads": 4, "encoder_ffn_dim": 128, "encoder_layers": 2, "eos_token_id": 2,
        "forced_eos_token_id": 2, "init_std": 0.02, "is_encoder_decoder": True, "max_position_embeddings": 128,
        "model_type": "bart", "pad_token_id": 1, "scale_embedding": False, "tie_word_embeddings": True,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    generation = {"bos_token_id": 0, "decoder_start_token_id": 2, "eos_token_id": 2, "forced_bos_token_id": 0,
                  "forced_eos_token_id": 2, "max_length": 24, "num_beams": 2, "pad_token_id": 1}
    settings = {"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>",
                "mask_token": "<mask>", "model_max_length": 128, "pad_token": "<pad>",
                "tokenizer_class": "BartTokenizer", "unk_token": "<unk>"}
    for name, value in (("config", config), ("generation_config", generation), ("tokenizer_config", settings)):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_model(write_pairs())
