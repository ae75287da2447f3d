"""Ids that transformers' generate() returns, for tests/parity/generation_test.cpp.

1. Two tiny random BARTs with sharp logits (large initial weights) under many settings: tests/fixtures/generation/.
2. configs/models/txtsum-mini in fp32 on 200 package descriptions of Debian (the last 200 of the test split of
   scripts/data/debian_synopses.sh that have at most 128 tokens; token ids only), with the quickstart's settings.

Run:  python scripts/reference/make_generation_fixtures.py DATA      (torch 2.11.0, transformers 5.17.0, one thread)
DATA is the folder that scripts/data/debian_synopses.sh made.
"""
import copy
import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/fixtures/generation"
SEED = 77101
VOCABULARY = 61
LENGTHS = [1, 2, 3, 5, 8, 8, 11, 13, 17, 19, 22, 23]

# name, model, transformers' arguments, our arguments. Lengths: max_length and min_length count the start token.
CASES = [
    ("greedy", "a", dict(num_beams=1, max_length=20), "beams=1 max_new_tokens=19"),
    ("greedy without repeated bigrams", "a", dict(num_beams=1, max_length=20, no_repeat_ngram_size=2), "beams=1 max_new_tokens=19 no_repeat_ngram=2"),
    ("greedy with repetition penalty", "a", dict(num_beams=1, max_length=20, repetition_penalty=1.7), "beams=1 max_new_tokens=19 repetition_penalty=1.7"),
    ("greedy with least length and forced end", "a", dict(num_beams=1, max_length=12, min_length=7, forced_eos_token_id=2), "beams=1 max_new_tokens=11 min_new_tokens=6 forced_eos_token_id=2"),
    ("two beams", "a", dict(num_beams=2, max_length=20), "beams=2 max_new_tokens=19"),
    ("three beams, no length penalty", "a", dict(num_beams=3, max_length=20, length_penalty=0.0), "beams=3 max_new_tokens=19 length_penalty=0"),
    ("three beams, long wanted", "a", dict(num_beams=3, max_length=20, length_penalty=2.0), "beams=3 max_new_tokens=19 length_penalty=2"),
    ("four beams, stop early", "a", dict(num_beams=4, max_length=20, early_stopping=True), "beams=4 max_new_tokens=19 early_stopping=true"),
    ("four beams, short wanted", "a", dict(num_beams=4, max_length=20, early_stopping=False, length_penalty=0.5), "beams=4 max_new_tokens=19 early_stopping=false length_penalty=0.5"),
    ("four beams, never early", "a", dict(num_beams=4, max_length=20, early_stopping="never"), "beams=4 max_new_tokens=19 early_stopping=never"),
    ("four beams, never early, negative penalty", "a", dict(num_beams=4, max_length=20, early_stopping="never", length_penalty=-1.0), "beams=4 max_new_tokens=19 early_stopping=never length_penalty=-1"),
    ("five beams, least length", "a", dict(num_beams=5, max_length=20, min_length=9), "beams=5 max_new_tokens=19 min_new_tokens=8"),
    ("three beams without repeated trigrams", "a", dict(num_beams=3, max_length=24, no_repeat_ngram_size=3), "beams=3 max_new_tokens=23 no_repeat_ngram=3"),
    ("three beams without the source's bigrams", "a", dict(num_beams=3, max_length=20, encoder_no_repeat_ngram_size=2), "beams=3 max_new_tokens=19 encoder_no_repeat_ngram=2"),
    ("three beams with repetition penalty", "a", dict(num_beams=3, max_length=20, repetition_penalty=1.3), "beams=3 max_new_tokens=19 repetition_penalty=1.3"),
    ("forced first token", "a", dict(num_beams=3, max_length=20, forced_bos_token_id=7), "beams=3 max_new_tokens=19 forced_bos_token_id=7"),
    ("forced last token", "a", dict(num_beams=3, max_length=9, forced_eos_token_id=2), "beams=3 max_new_tokens=8 forced_eos_token_id=2"),
    ("suppressed tokens", "a", dict(num_beams=4, max_length=20, suppress_tokens=[4, 9, 11, 30, 31, 32, 33]), "beams=4 max_new_tokens=19 suppress_tokens=[4,9,11,30,31,32,33]"),
    ("bad words", "a", dict(num_beams=4, max_length=20, bad_words_ids=[[5], [8, 9], [12, 13, 14], [40]]), "beams=4 max_new_tokens=19 bad_words_ids=[[5],[8,9],[12,13,14],[40]]"),
    ("three of four hypotheses", "a", dict(num_beams=4, max_length=20, num_return_sequences=3), "beams=4 max_new_tokens=19 hypotheses=3"),
    ("all of five hypotheses, never early", "a", dict(num_beams=5, max_length=20, num_return_sequences=5, early_stopping="never"), "beams=5 max_new_tokens=19 hypotheses=5 early_stopping=never"),
    ("as for news", "a", dict(num_beams=4, max_length=24, min_length=10, no_repeat_ngram_size=3, length_penalty=2.0, early_stopping=True, forced_bos_token_id=0, forced_eos_token_id=2), "beams=4 max_new_tokens=23 min_new_tokens=9 no_repeat_ngram=3 length_penalty=2 early_stopping=true forced_bos_token_id=0 forced_eos_token_id=2"),
    ("renormalized after n-grams were blocked", "a", dict(num_beams=4, max_length=20, no_repeat_ngram_size=2, encoder_no_repeat_ngram_size=2, num_return_sequences=2, renormalize_logits=True), "beams=4 max_new_tokens=19 no_repeat_ngram=2 encoder_no_repeat_ngram=2 hypotheses=2 renormalize_logits=true"),
    ("renormalized after repetition penalty and least length", "a", dict(num_beams=3, max_length=20, min_length=9, repetition_penalty=1.6, forced_eos_token_id=2, renormalize_logits=True), "beams=3 max_new_tokens=19 min_new_tokens=8 repetition_penalty=1.6 forced_eos_token_id=2 renormalize_logits=true"),
    ("renormalized without a stretch of tokens", "a", dict(num_beams=5, max_length=20, suppress_tokens=list(range(7, 41)), renormalize_logits=True), f"beams=5 max_new_tokens=19 suppress_tokens={list(range(7, 41))} renormalize_logits=true".replace(", ", ",")),
    ("renormalized, greedy", "a", dict(num_beams=1, max_length=20, repetition_penalty=1.7, renormalize_logits=True), "beams=1 max_new_tokens=19 repetition_penalty=1.7 renormalize_logits=true"),
    ("two tokens at most", "a", dict(num_beams=3, max_length=3), "beams=3 max_new_tokens=2"),
    ("another start token", "a", dict(num_beams=2, max_length=16, decoder_start_token_id=5), "beams=2 max_new_tokens=15 decoder_start_token_id=5"),
    ("several end tokens", "b", dict(num_beams=3, max_length=20), "beams=3 max_new_tokens=19"),
    ("several end tokens, greedy", "b", dict(num_beams=1, max_length=20), "beams=1 max_new_tokens=19"),
    ("several end tokens, stop early", "b", dict(num_beams=4, max_length=20, early_stopping=True, min_length=5), "beams=4 max_new_tokens=19 early_stopping=true min_new_tokens=4"),
    ("everything from generation_config.json", "b_settings", dict(), ""),
]
FOLDER_SETTINGS = {"b": dict(eos_token_id=[2, 17, 29]), "b_settings": dict(eos_token_id=[2, 17], num_beams=3, max_length=15, min_length=4, length_penalty=1.5, no_repeat_ngram_size=2, early_stopping=True)}


def make_model(seed):
    torch.manual_seed(seed)
    config = BartConfig(vocab_size=VOCABULARY, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=1, decoder_attention_heads=2,
                        encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=32, dropout=0.0, init_std=0.9, forced_eos_token_id=None)
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.final_logits_bias.copy_(0.5 * torch.randn_like(model.final_logits_bias))
        model.final_logits_bias[0, 2] += 4.0  # so that hypotheses end
    model.generation_config.forced_eos_token_id = None
    return model


def draw_sources():
    generator = torch.Generator().manual_seed(SEED + 1)
    return [[0] + torch.randint(3, VOCABULARY, (n,), generator=generator).tolist() + [2] for n in LENGTHS]


def strip(ids, pad):
    ids = ids.tolist()
    while len(ids) > 1 and ids[-1] == pad:
        ids.pop()
    return ids


def generate(model, source, arguments):
    """Hypotheses of one document, each with its score; documents run alone, so that padding plays no part."""
    arguments = dict(arguments)
    out = model.generate(input_ids=torch.tensor([source]), attention_mask=torch.ones(1, len(source), dtype=torch.long), do_sample=False,
                         return_dict_in_generate=True, output_scores=True, **arguments)
    scores = getattr(out, "sequences_scores", None)
    return [{"ids": strip(ids, model.config.pad_token_id), "score": None if scores is None else scores[i].item()} for i, ids in enumerate(out.sequences)]


def tiny_cases():
    models = {"a": make_model(SEED), "b": make_model(SEED + 5)}
    models["b_settings"] = copy.deepcopy(models["b"])
    for name, settings in FOLDER_SETTINGS.items():
        models[name].generation_config.update(**settings)
    for name, model in models.items():
        model.save_pretrained(OUT / f"model_{name}")
    sources = draw_sources()
    cases = []
    for name, model, theirs, ours in CASES:
        documents = [generate(models[model], source, theirs) for source in sources]
        cases.append({"name": name, "model": f"model_{model}", "ours": [f"generation.{word}" for word in ours.split()], "documents": documents})
        print(f"{name:50} mean length {sum(len(d[0]['ids']) for d in documents) / len(documents):.1f}")
    return {"sources": sources, "cases": cases}


def real_documents(data):
    folder = ROOT / "configs/models/txtsum-mini"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    settings = dict(num_beams=4, max_length=48, no_repeat_ngram_size=3, early_stopping=True, num_return_sequences=2)
    rows = [json.loads(line) for line in (data / "test.jsonl").open(encoding="utf-8")]
    documents = []
    for row in reversed(rows):
        source = tokenizer(row["document"])["input_ids"]
        if len(source) > 128:
            continue
        first, second = generate(model, source, settings)
        documents.append({"id": row["id"], "source": source, "ids": first["ids"], "score": first["score"], "second": second["ids"],
                          "gap": first["score"] - second["score"]})
        if len(documents) == 200:
            break
    return {"ours": "generation.beams=4 generation.max_new_tokens=47 generation.no_repeat_ngram=3 generation.early_stopping=true".split(), "documents": documents}


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    about = {"made_by": "scripts/reference/make_generation_fixtures.py", "torch": torch.__version__, "transformers": transformers.__version__, "seed": SEED}
    for name, content in (("tiny.json", tiny_cases()), ("debian.json", real_documents(pathlib.Path(sys.argv[1])))):
        (OUT / name).write_text(json.dumps({"about": about, **content}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
