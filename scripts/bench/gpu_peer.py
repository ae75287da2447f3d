"""transformers' side of scripts/bench/gpu.sh: Seq2SeqTrainer and generate() with the settings that make them fastest here.

Reads work from standard input, a line each: `train WORKLOAD BATCH UPDATES WARM`, `generate SLOTS` or
`ledgenerate SLOTS`. Answers each with a
JSON line: samples_per_s, joule_per_sample (NVML's energy counter), peak_gib. It stays, with an empty GPU, between two.

bf16 autocast over fp32 weights, fused AdamW, four loader workers, dynamic padding, SDPA attention without cuDNN's (which
plans anew for every new shape and was 2.8 times slower).
"""

import gc
import json
import os
import sys
import time

import torch
import transformers
from gpu_inputs import FIXED, GENERATED, LONG_GENERATED, LONG_NEW_TOKENS, VOCABULARY, samsum_lengths, shape_of, workload
from gpu_training import energy_joules
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BigBirdPegasusConfig,
    BigBirdPegasusForConditionalGeneration,
    LEDConfig,
    LEDForConditionalGeneration,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    TrainerCallback,
)

transformers.logging.set_verbosity_error()
torch.backends.cuda.enable_cudnn_sdp(False)
RANK, RANKS = (int(os.environ.get(name, value)) for name, value in (("RANK", 0), ("WORLD_SIZE", 1)))


def mark():
    torch.cuda.synchronize()
    return time.time(), energy_joules(RANKS)


def report(samples, begin, end):
    if RANK != 0:
        return
    seconds, joules = end[0] - begin[0], end[1] - begin[1]
    peak = torch.cuda.max_memory_allocated() / 2**30
    line = {"samples_per_s": samples / seconds, "joule_per_sample": joules / samples, "peak_gib": peak}
    print(json.dumps({name: round(value, 4) for name, value in line.items()}), flush=True)


def random_model(name="samsum"):
    torch.manual_seed(0)
    folder, shape = shape_of(name)
    if folder == "bart-large":
        return BartForConditionalGeneration(BartConfig(**shape))
    known = {key: value for key, value in shape.items() if key not in ("model_type", "architectures")}
    if folder.startswith("t5"):
        return T5ForConditionalGeneration(T5Config(**known))
    if folder.startswith("bigbird"):  # 5.17 crashes here under bf16 autocast, so all of it is bf16
        return BigBirdPegasusForConditionalGeneration(BigBirdPegasusConfig(**known)).to(torch.bfloat16)
    return LEDForConditionalGeneration(LEDConfig(**known))


class Pairs(torch.utils.data.Dataset):
    def __init__(self, lengths):
        generator = torch.Generator().manual_seed(1)
        draw = lambda count: torch.randint(5, VOCABULARY, (count,), generator=generator).tolist()
        self.rows = [(draw(source), draw(target)) for source, target in lengths]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def padded(rows, value):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def collate(rows):
    sources, targets = zip(*rows)
    return {
        "input_ids": padded(sources, 1),
        "attention_mask": padded([[1] * len(source) for source in sources], 0),
        "labels": padded(targets, -100),
    }


def collate_led(rows):
    """The first token sees all and is seen by all."""
    batch = collate(rows)
    batch["global_attention_mask"] = torch.zeros_like(batch["attention_mask"])
    batch["global_attention_mask"][:, 0] = 1
    return batch


class Marks(TrainerCallback):
    def __init__(self, warm):
        self.warm = warm

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.warm:
            self.begin = mark()
        elif state.global_step == state.max_steps:
            self.end = mark()


def train(name, batch, updates, warm, **more):
    marks = Marks(warm)
    settings = Seq2SeqTrainingArguments(
        output_dir="/tmp/gpu_peer",
        per_device_train_batch_size=batch,
        max_steps=updates,
        bf16=not name.startswith("bigbird"),
        optim="adamw_torch_fused",
        learning_rate=5e-5,
        weight_decay=0.01,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_num_workers=4,
        gradient_checkpointing=name == "led16384",  # does not fit otherwise
        **more,
    )
    Seq2SeqTrainer(
        model=random_model(name),
        args=settings,
        train_dataset=Pairs(workload(name)),
        data_collator=collate_led if name.startswith("led") else collate,
        callbacks=[marks],
    ).train()
    report((updates - warm) * batch * RANKS, marks.begin, marks.end)


def generate(batch):
    pairs = Pairs(sorted(samsum_lengths()[-GENERATED:], key=lambda pair: -pair[0]))
    model = random_model().to("cuda", torch.bfloat16).eval()

    def go(rows):
        inputs = collate(rows)
        inputs.pop("labels")
        model.generate(
            **{name: tensor.to("cuda") for name, tensor in inputs.items()},
            num_beams=6,
            max_length=62,
            min_length=11,
            no_repeat_ngram_size=3,
            length_penalty=1.0,
            early_stopping=True,
        )

    go(pairs.rows[:batch])
    begin = mark()
    for first in range(0, len(pairs), batch):
        go(pairs.rows[first : first + batch])
    report(len(pairs), begin, mark())


def generate_long(batch):
    pairs = Pairs([FIXED["led4096"]] * LONG_GENERATED)
    model = random_model("led4096").to("cuda", torch.bfloat16).eval()

    def go(rows):
        inputs = collate_led(rows)
        inputs.pop("labels")
        model.generate(
            **{name: tensor.to("cuda") for name, tensor in inputs.items()},
            num_beams=4,
            max_new_tokens=LONG_NEW_TOKENS,
            min_new_tokens=LONG_NEW_TOKENS,
            early_stopping=True,
        )

    go(pairs.rows[:batch])
    begin = mark()
    for first in range(0, len(pairs), batch):
        go(pairs.rows[first : first + batch])
    report(len(pairs), begin, mark())


def main():
    for line in sys.stdin:
        what, *arguments = line.split()
        if what == "train":
            train(arguments[0], *map(int, arguments[1:]))
        elif what == "ledgenerate":
            generate_long(int(arguments[0]))
        else:
            generate(int(arguments[0]))
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
