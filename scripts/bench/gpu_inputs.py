"""What both sides of scripts/bench/gpu.sh work on: BART-large's shape and pairs of random tokens with SAMSum's lengths.

Speed, memory and energy depend on shapes, not on values, so weights and tokens are random and nothing is downloaded.
samsum_lengths.json holds [source tokens, target tokens] of SAMSum's 1,637 validation and test pairs under BART's
tokenizer. Texts are made of words that are one token each, so that tokenizing them gives the wanted lengths.
"""

import json
import pathlib
import random
import shutil

HERE = pathlib.Path(__file__).resolve().parent
MINI = HERE.parent.parent / "configs" / "models" / "txtsum-mini"
VOCABULARY = 50265
BART_LARGE = {
    "d_model": 1024,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 1024,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
BART_BASE = {
    **BART_LARGE,
    "d_model": 768,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
}
LED_LARGE = {
    **{key: value for key, value in BART_LARGE.items() if key != "max_position_embeddings"},
    "model_type": "led",
    "architectures": ["LEDForConditionalGeneration"],
    "max_encoder_position_embeddings": 16384,
    "max_decoder_position_embeddings": 1024,
    "attention_window": [1024] * 12,
}
BIGBIRD_LARGE = {
    **BART_LARGE,
    "model_type": "bigbird_pegasus",
    "architectures": ["BigBirdPegasusForConditionalGeneration"],
    "vocab_size": 96103,
    "max_position_embeddings": 4096,
    "encoder_layers": 16,
    "decoder_layers": 16,
    "activation_function": "gelu_new",
    "scale_embedding": True,
    "use_bias": False,
    "attention_type": "block_sparse",
    "block_size": 64,
    "num_random_blocks": 3,
}
# One rate drops hidden states and probabilities alike; for equal work on both sides it is 0.
T5_BASE = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": VOCABULARY,
    "d_model": 768,
    "d_kv": 64,
    "d_ff": 3072,
    "num_layers": 12,
    "num_decoder_layers": 12,
    "num_heads": 12,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "feed_forward_proj": "relu",
    "dropout_rate": 0.0,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
# For the cost of length alone.
CURVE_LARGE = {**LED_LARGE, "max_encoder_position_embeddings": 65536}
CURVE = (2048, 4096, 8192, 16384, 32768, 65536)
SHAPES = {"curve": ("led-large-65536", CURVE_LARGE), "t5": ("t5-base", T5_BASE), "led": ("led-large", LED_LARGE), "bigbird": ("bigbird-pegasus-large", BIGBIRD_LARGE)}
# Workloads of one length: tokens of sources and targets.
FIXED = {"long": (1024, 128), "led4096": (4096, 256), "led16384": (16384, 256), "bigbird4096": (4096, 256)}
FIXED |= {f"curve{tokens}": (tokens, 256) for tokens in CURVE}
GENERATED = 819  # documents of the generation part, the last of the list: SAMSum's test split
LONG_GENERATED, LONG_NEW_TOKENS = 32, 128  # documents of the generation part of LED and tokens of each summary


def settings(chosen, changed):
    """key=value arguments of txtsum: the chosen ones (a dict), some changed or added by key=value texts."""
    return [f"{key}={value}" for key, value in {**chosen, **dict(text.split("=", 1) for text in changed)}.items()]


def samsum_lengths():
    return [tuple(pair) for pair in json.loads((HERE / "samsum_lengths.json").read_text())]


def workload(name):
    """Lengths of the pairs of one training part."""
    if name not in FIXED:
        return samsum_lengths()
    return [FIXED[name]] * (1024 if name == "long" else max(16, min(128, 2**19 // FIXED[name][0])))


def shape_of(name):
    """The model's folder and config of one training workload."""
    family = next((family for family in SHAPES if name.startswith(family)), None)
    return SHAPES.get(family, ("bart-large", BART_LARGE))


def write_model_folder(folder, shape):
    """config.json of the shape beside the tokenizer of the embedded model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        if (MINI / name).exists():
            shutil.copy(MINI / name, folder / name)
    of_bart = shape is not T5_BASE
    config = {**(json.loads((MINI / "config.json").read_text()) if of_bart else {}), **shape}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def single_token_words():
    vocabulary = json.loads((MINI / "tokenizer.json").read_text())["model"]["vocab"]
    words = [word[1:] for word in vocabulary if word.startswith("\u0120") and len(word) > 3]
    return sorted(word for word in words if word.isascii() and word.isalpha())


def write_pairs(path, lengths):
    """A JSON line a pair; <s> and </s>, which tokenizing adds, are among the tokens counted."""
    words, draw = single_token_words(), random.Random(1)

    def text(tokens):
        return "".join(" " + draw.choice(words) for _ in range(tokens - 2))

    with path.open("w", encoding="utf-8") as out:
        for source, target in lengths:
            out.write(json.dumps({"document": text(source), "summary": text(target)}) + "\n")
