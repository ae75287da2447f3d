#!/usr/bin/env python3
"""Fine-tune configs/models/txtsum-mini with transformers for a number of seconds, as configs/quickstart.yaml does, then
summarize and score the test split: the number that the quickstart is held against.

The same data, start, batch of 32, AdamW (5e-4, weight decay 0.01 on matrices), linear schedule over the share of the time
with 5 % warm-up, clipping at norm 1, no dropout unless asked for, fp32, random order with dynamic padding (or --group-by-length, which helps padding). Only
updates count as time, as in txtsum. Beam search with the experiment's settings, ROUGE by rouge_score with its stemmer.

Needs torch, transformers and rouge_score. usage: quickstart_peer.py OUT [--seconds 300] [--threads N] [--group-by-length] [--dropout P]
"""

import argparse
import json
import pathlib
import random
import time

import torch
import transformers
from rouge_score import rouge_scorer
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

BATCH = 32
PEAK = 5e-4
WARMUP = 0.05
SOURCE, TARGET = 256, 48


def read(path, limit=None):
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return rows[:limit]


def batches(encoded, seed, by_length):
    epoch = 0
    while True:
        order = list(range(len(encoded)))
        random.Random(seed + epoch).shuffle(order)
        if by_length:  # transformers' LengthGroupedSampler: megabatches of 50 batches, longest first within each
            mega = 50 * BATCH
            order = [
                i
                for begin in range(0, len(order), mega)
                for i in sorted(order[begin : begin + mega], key=lambda i: -len(encoded[i][0]))
            ]
        for begin in range(0, len(order), BATCH):
            yield [encoded[i] for i in order[begin : begin + BATCH]]
        epoch += 1


def pad(rows, value):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def train(model, encoded, pad_id, arguments):
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=PEAK, fused=True
    )
    model.train()
    spent, updates, examples, loss_sum = 0.0, 0, 0, 0.0
    stream = batches(encoded, 42, arguments.group_by_length)
    while spent < arguments.seconds:
        begin = time.perf_counter()
        rows = next(stream)
        source = pad([row[0] for row in rows], pad_id)
        share = spent / arguments.seconds
        factor = share / WARMUP if share < WARMUP else (1 - share) / (1 - WARMUP)
        for group in optimizer.param_groups:
            group["lr"] = PEAK * factor
        loss = model(
            input_ids=source, attention_mask=source.ne(pad_id).long(), labels=pad([row[1] for row in rows], -100)
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss_sum += loss.item()
        spent += time.perf_counter() - begin
        updates += 1
        examples += len(rows)
        if updates % 100 == 0:
            print(f"{spent:6.1f} s update {updates} loss {loss_sum / 100:.3f}", flush=True)
            loss_sum = 0.0
    return spent, updates, examples


def summarize(model, tokenizer, rows):
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]["document"]))
    texts = [""] * len(rows)
    for begin in range(0, len(order), BATCH):
        part = order[begin : begin + BATCH]
        inputs = tokenizer(
            [rows[i]["document"] for i in part], truncation=True, max_length=SOURCE, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            ids = model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], num_beams=4, max_length=TARGET,
                no_repeat_ngram_size=3, early_stopping=True, do_sample=False,
            )
        for i, text in zip(part, tokenizer.batch_decode(ids, skip_special_tokens=True)):
            texts[i] = text.strip()
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = root / "configs/models/txtsum-mini"
    data = root / "data/debian_synopses"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32, dropout=arguments.dropout)
    rows = read(data / "train.jsonl")
    sources = tokenizer([row["document"] for row in rows], truncation=True, max_length=SOURCE)["input_ids"]
    targets = tokenizer(text_target=[row["summary"] for row in rows], truncation=True, max_length=TARGET)["input_ids"]
    spent, updates, examples = train(model, list(zip(sources, targets)), tokenizer.pad_token_id, arguments)

    test = read(data / "test.jsonl", 400)
    begin = time.perf_counter()
    texts = summarize(model, tokenizer, test)
    generation_seconds = time.perf_counter() - begin
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    scores = [scorer.score(row["summary"], text) for row, text in zip(test, texts)]
    result = {
        "transformers": transformers.__version__, "torch": torch.__version__, "threads": torch.get_num_threads(),
        "group_by_length": arguments.group_by_length, "train_seconds": spent, "updates": updates,
        "examples_per_second": examples / spent, "generation_seconds": generation_seconds, "documents": len(test),
    }
    for name in ("rouge1", "rouge2", "rougeL"):
        result[name] = 100 * sum(score[name].fmeasure for score in scores) / len(scores)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
