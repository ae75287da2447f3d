"""A model folder with exactly the files that google/pegasus-xsum has on the Hub, tiny, and what transformers makes of texts
with it: for tests/cli/commands_test.py.

Old weights (pytorch_model.bin alone), spiece.model without tokenizer.json, no generation_config.json (config.json says how to
generate), task_specific_params that nobody applies.

Run:  python scripts/reference/make_hub_fixtures.py DATA   (torch 2.11.0, transformers 5.17.0, sentencepiece 0.2.1)
DATA is the folder that scripts/data/debian_synopses.sh made. Writes tests/fixtures/hub/pegasus/.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import sentencepiece
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PegasusConfig, PegasusForConditionalGeneration

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/hub/pegasus"
PIECES, OFFSET = 300, 103
TOKENIZER_CONFIG = {"tokenizer_class": "PegasusTokenizer", "model_max_length": 512}
SPECIAL_TOKENS = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask_2>", "mask_token_sent": "<mask_1>"}
TEXTS = [
    "A small program that prints a friendly greeting. It has no options.",
    "Libraries for reading and writing images of several kinds,\nwith bindings.  Two  spaces, 100% of them.",
    "x",
    "Pakete für Übersetzungen: naïve café, 日本語 and 😀.",
]


def train_pieces(data, folder):
    lines = [json.loads(line)["document"].replace("\n", " ") for line in (data / "train.jsonl").open(encoding="utf-8")][:3000]
    text = folder / "text.txt"
    text.write_text("\n".join(lines), encoding="utf-8")
    # As Pegasus' model: ids 0 to 2 are </s>-like special pieces, the rest unigrams.
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spiece"), vocab_size=PIECES, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
    shutil.copy(folder / "spiece.model", OUT / "spiece.model")


def make_model():
    torch.manual_seed(5)
    config = PegasusConfig(vocab_size=PIECES + OFFSET, d_model=24, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
                           decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
                           activation_function="relu", scale_embedding=True, init_std=0.4)
    return config, PegasusForConditionalGeneration(config)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        train_pieces(pathlib.Path(sys.argv[1]), pathlib.Path(folder))
    config, model = make_model()
    torch.save(model.state_dict(), OUT / "pytorch_model.bin")
    words = config.to_dict()
    words.update(architectures=["PegasusForConditionalGeneration"], num_beams=4, max_length=20, length_penalty=0.6,
                 task_specific_params={"summarization_xsum": {"length_penalty": 0.8, "max_length": 64, "num_beams": 8}})
    for name, content in (("config", words), ("tokenizer_config", TOKENIZER_CONFIG), ("special_tokens_map", SPECIAL_TOKENS)):
        (OUT / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(OUT)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(OUT, dtype=torch.float32).eval()
    expected = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            ids = loaded.generate(**inputs)[0]
        expected.append({"text": text, "ids": inputs["input_ids"][0].tolist(), "summary": tokenizer.decode(ids, skip_special_tokens=True)})
        print(len(inputs["input_ids"][0]), repr(expected[-1]["summary"]))
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
