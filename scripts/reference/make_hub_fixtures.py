"""Model folders with the kinds of files that published models have on the Hub, tiny, and what transformers makes of texts with
them: for tests/cli/commands_test.py.

pegasus  as google/pegasus-xsum: old weights (pytorch_model.bin alone), spiece.model without tokenizer.json, no
         generation_config.json (config.json says how to generate), task_specific_params that nobody applies.
t5       as google-t5/t5-small: weights with the tied table under all its names and with the table of relative positions that early
         T5 had in cross-attention, spiece.model with 100 extra ids behind, generation_config.json, task_specific_params with prefixes.

Run:  python scripts/reference/make_hub_fixtures.py DATA [FAMILY ...]   (torch 2.11.0, transformers 5.17.0, sentencepiece 0.2.1)
DATA is the folder that scripts/data/debian_synopses.sh made. Writes tests/fixtures/hub/FAMILY/.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import sentencepiece
import torch
from transformers import (AutoModelForSeq2SeqLM, AutoTokenizer, PegasusConfig, PegasusForConditionalGeneration, T5Config,
                          T5ForConditionalGeneration)

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/hub"
PIECES, PEGASUS_OFFSET, T5_EXTRA = 300, 103, 100
TEXTS = [
    "A small program that prints a friendly greeting. It has no options.",
    "Libraries for reading and writing images of several kinds,\nwith bindings.  Two  spaces, 100% of them.",
    "x",
    "Pakete für Übersetzungen: naïve café, 日本語 and 😀.",
]


def train_pieces(data, out):
    lines = [json.loads(line)["document"].replace("\n", " ") for line in (data / "train.jsonl").open(encoding="utf-8")][:3000]
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text.txt"
        text.write_text("\n".join(lines), encoding="utf-8")
        # As Pegasus' and T5's models: ids 0 to 2 are special pieces, the rest unigrams.
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=folder + "/spiece", vocab_size=PIECES, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
            normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
        shutil.copy(folder + "/spiece.model", out / "spiece.model")


def pegasus():
    config = PegasusConfig(vocab_size=PIECES + PEGASUS_OFFSET, d_model=24, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
                           decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
                           activation_function="relu", scale_embedding=True, init_std=0.4)
    model = PegasusForConditionalGeneration(config)
    words = config.to_dict()
    words.update(architectures=["PegasusForConditionalGeneration"], num_beams=4, max_length=20, length_penalty=0.6,
                 task_specific_params={"summarization_xsum": {"length_penalty": 0.8, "max_length": 64, "num_beams": 8}})
    return model.state_dict(), {
        "config": words,
        "tokenizer_config": {"tokenizer_class": "PegasusTokenizer", "model_max_length": 512},
        "special_tokens_map": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask_2>",
                               "mask_token_sent": "<mask_1>"},
    }


def t5():
    # More rows than the tokenizer has ids, as in t5-small.
    config = T5Config(vocab_size=PIECES + T5_EXTRA + 16, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3, decoder_start_token_id=0,
                      initializer_factor=1.5)
    model = T5ForConditionalGeneration(config)
    state = model.state_dict()
    state["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = torch.randn(32, 3)
    words = config.to_dict()
    for key in ("dense_act_fn", "is_gated_act", "scale_decoder_outputs", "tie_word_embeddings"):  # of later transformers
        words.pop(key, None)
    words.update(architectures=["T5ForConditionalGeneration"], n_positions=16, output_past=True, task_specific_params={
        "summarization": {"early_stopping": True, "length_penalty": 2.0, "max_length": 200, "min_length": 30, "no_repeat_ngram_size": 3,
                          "num_beams": 4, "prefix": "summarize: "},
        "translation_en_to_de": {"early_stopping": True, "max_length": 300, "num_beams": 4, "prefix": "translate English to German: "}})
    return state, {
        "config": words,
        "generation_config": {"_from_model_config": True, "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
        "tokenizer_config": {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": T5_EXTRA},
        "special_tokens_map": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
                               "additional_special_tokens": [f"<extra_id_{i}>" for i in range(T5_EXTRA)]},
    }


# How each family's folder is made, and what its expected summaries are made with.
FAMILIES = {"pegasus": (pegasus, "", {}), "t5": (t5, "summarize: ", dict(num_beams=3, max_new_tokens=24, no_repeat_ngram_size=2))}


def main(data, family):
    make, prefix, settings = FAMILIES[family]
    out = OUT / family
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    train_pieces(data, out)
    torch.manual_seed(5)
    state, files = make()
    torch.save(state, out / "pytorch_model.bin")
    for name, content in files.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(out)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(out, dtype=torch.float32).eval()
    expected = []
    for text in TEXTS:
        inputs = tokenizer(prefix + text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            ids = loaded.generate(**inputs, **settings)[0]
        expected.append({"text": text, "ids": inputs["input_ids"][0].tolist(), "summary": tokenizer.decode(ids, skip_special_tokens=True)})
        print(len(inputs["input_ids"][0]), repr(expected[-1]["summary"]))
    (out / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[2:] or FAMILIES:
        main(pathlib.Path(sys.argv[1]), name)
