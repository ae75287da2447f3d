"""transformers' side of cpu_compare.py, a part a process, so that its peak memory is its own.

usage: cpu_peer.py train|generate MODEL DATA COUNT WARM THREADS
Prints a JSON line: samples_per_s. fp32; dynamic padding; fused AdamW; SDPA attention.
"""

import json
import pathlib
import sys
import time

import torch
import transformers
from cpu_compare import BEAMS, GENERATE_BATCH, NEW_TOKENS, TRAIN_BATCH
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, BartForConditionalGeneration


MOST = 1024  # positions


def pad(rows, value):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def train(folder, data, updates, warm):
    torch.manual_seed(1)
    model = BartForConditionalGeneration(AutoConfig.from_pretrained(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = read(data)[: updates * TRAIN_BATCH]
    sources = tokenizer([row["document"] for row in rows], truncation=True, max_length=MOST)["input_ids"]
    targets = tokenizer(text_target=[row["summary"] for row in rows], truncation=True, max_length=MOST)["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    model.train()
    begin = 0.0
    for update in range(updates):
        if update == warm:
            begin = time.perf_counter()
        chosen = slice(update * TRAIN_BATCH, (update + 1) * TRAIN_BATCH)
        ids = pad(sources[chosen], tokenizer.pad_token_id)
        mask = ids.ne(tokenizer.pad_token_id).long()
        model(input_ids=ids, attention_mask=mask, labels=pad(targets[chosen], -100)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return (updates - warm) * TRAIN_BATCH / (time.perf_counter() - begin)


def generate(folder, data, documents):
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = sorted((row["document"] for row in read(data)[:documents]), key=len, reverse=True)
    begin = time.perf_counter()
    for first in range(0, documents, GENERATE_BATCH):
        inputs = tokenizer(texts[first : first + GENERATE_BATCH], padding=True, truncation=True, max_length=MOST, return_tensors="pt")
        with torch.inference_mode():
            model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], num_beams=BEAMS,
                           do_sample=False, early_stopping=True, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS)
    return documents / (time.perf_counter() - begin)


def main():
    part, folder, data, count, warm, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    transformers.logging.set_verbosity_error()
    count, warm, folder = int(count), int(warm), pathlib.Path(folder)
    speed = train(folder, data, count, warm) if part == "train" else generate(folder, data, count)
    print(json.dumps({"samples_per_s": speed, "torch": torch.__version__, "transformers": transformers.__version__}))


if __name__ == "__main__":
    main()
