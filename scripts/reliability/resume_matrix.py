#!/usr/bin/env python3
"""Resume a training from drawn steps, for every way to train, and compare everything with the unbroken run bit for bit.

usage: resume_matrix.py PROGRAM [--seed N] [--cells N] [--work FOLDER]

A cell is a sampler, with or without accumulation, an optimizer, a precision and what is frozen; dropout is on in all.
Schedule, recomputation, label smoothing, clipping and prefetching are drawn for each cell. Of a cell there are

  whole      trained without interruption, with every step saved
  by path    continued in another folder from a drawn step of `whole` (run.resume=STEP)
  stopped    stopped by SIGTERM near a drawn step, then killed by SIGKILL near a later one, then trained to the end by
             the same command

Compared are every step that both have (weights, moments, position and counters, tokenizer and config), the finished
model, and all lines of the step log but for times. Exit code 1 where anything differs.
"""

import argparse
import itertools
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

import run_files

SAMPLERS = {
    "random": ["train.sampler=random", "train.batch_size=8"],
    "random_tokens": ["train.sampler=random", "train.batch_tokens=400"],
    "bucketed": ["train.sampler=length_bucketed", "train.batch_size=8", "train.bucket_batches=3"],
    "bucketed_tokens": ["train.sampler=length_bucketed", "train.batch_tokens=400", "train.bucket_batches=3"],
}
CUTS = {"one_pass": ["train.micro_batch_tokens=16384"], "accumulated": ["train.micro_batch_tokens=150"]}
OPTIMIZERS = {"adamw": ["optimizer.name=adamw", "optimizer.weight_decay=0.01"], "adafactor": ["optimizer.name=adafactor"]}
PRECISIONS = {"fp32": ["train.precision=fp32"], "bf16": ["train.precision=bf16"]}
FROZEN = {
    "all_learn": [],
    "encoder_frozen": ["model.freeze=[encoder]"],
    "parts_frozen": ["model.freeze=[embeddings, decoder.layers.0, '*.self_attn.k_proj.*']"],
}
BASE = [
    run_files.SMOKE, "model.dropout=0.1", "model.attention_dropout=0.1", "model.activation_dropout=0.1",
    "data.max_train_examples=60", "data.max_validation_examples=8", "train.epochs=2.5", "train.log_every_updates=4",
    "validation.every_updates=7", "validation.generate=false",
    "checkpoint.best_metric=loss", "test.generate=false", "checkpoint.keep_last=null", "run.threads=1",
]
SECONDS_FOR_A_STEP = 120


def drawn_settings(rng):
    schedule = rng.choice(["linear", "cosine", "constant", "inverse_sqrt"])
    return [
        f"schedule.name={schedule}", rng.choice(["schedule.warmup_share=0.2", "schedule.warmup_updates=3"]),
        f"train.recompute={rng.choice(['none', 'blocks'])}",
        f"train.label_smoothing={rng.choice([0, 0.1])}", f"train.clip_norm={rng.choice([0, 0.5, 1])}",
        f"data.prefetch_batches={rng.choice([0, 1, 4])}",
    ]


class Cell:
    def __init__(self, program, root, overrides, rng):
        self.program, self.root, self.overrides, self.rng = program, root, overrides, rng
        self.problems, self.interruptions = [], []

    def arguments(self, name, *more):
        return ["train", *BASE, *self.overrides, f"run.output={self.root / name}", *more]

    def compare(self, name, first_update=0):
        """`name` with the unbroken run, from the update after `first_update` on."""
        steps, whole_steps = (run_files.finished_steps(self.root / each) for each in (name, "whole"))
        if not steps or max(steps) != max(whole_steps):
            self.problems.append(f"{name}: ends at step {max(steps, default=0)}, whole at {max(whole_steps)}")
        for update in steps.keys() & self.whole.keys():
            self.problems += run_files.differences(self.whole[update], run_files.folder_content(steps[update]),
                                                   f"{name}/step-{update}")
        self.problems += run_files.differences(run_files.folder_content(self.root / "whole/model"),
                                               run_files.folder_content(self.root / name / "model"), f"{name}/model")
        wanted = [line for line in run_files.log_lines(self.root / "whole") if line["update"] > first_update]
        self.problems += run_files.first_difference(wanted, run_files.log_lines(self.root / name), f"{name}/steps.jsonl")

    def train_whole(self):
        run_files.run(self.program, *self.arguments("whole", "checkpoint.every_updates=1"))
        self.whole = {update: run_files.folder_content(step)
                      for update, step in run_files.finished_steps(self.root / "whole").items()}
        return len(self.whole)

    def resume_by_path(self, update):
        step = self.root / f"whole/checkpoints/step-{update}"
        run_files.run(self.program, *self.arguments("by_path", f"run.resume={step}", "checkpoint.every_updates=1"))
        self.compare("by_path", update)

    def interrupt(self, arguments, update, kind):
        """Sends a signal when the step is there. Where the training was faster, it was not interrupted."""
        process = run_files.start(self.program, *arguments)
        deadline = time.monotonic() + SECONDS_FOR_A_STEP
        while process.poll() is None:
            if max(run_files.finished_steps(self.root / "stopped"), default=0) >= update:
                process.send_signal(kind)
                break
            if time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"no step {update} after {SECONDS_FOR_A_STEP} s")
            time.sleep(0.001)
        log = process.communicate()[1]
        expected = -signal.SIGKILL if kind == signal.SIGKILL else 128 + kind
        newest = max(run_files.finished_steps(self.root / "stopped"), default=0)
        if process.returncode == expected:
            self.interruptions.append(newest)
        elif process.returncode != 0:
            self.problems.append(f"exit code {process.returncode}, wanted {expected}: {log[-300:]}")

    def interrupt_and_finish(self, first, second):
        arguments = self.arguments("stopped", f"checkpoint.every_updates={self.rng.choice([1, 2])}")
        self.interrupt(arguments, first, signal.SIGTERM)
        self.interrupt(arguments, second, signal.SIGKILL)
        run_files.run(self.program, *arguments)
        self.compare("stopped")


def run_cell(program, root, names, overrides, rng):
    cell = Cell(program, root, overrides, rng)
    updates = cell.train_whole()
    path, first = rng.randrange(1, updates), rng.randrange(1, updates - 1)
    second = rng.randrange(first + 1, updates)
    cell.resume_by_path(path)
    cell.interrupt_and_finish(first, second)
    state = "same bits" if not cell.problems else "DIFFERS"
    print(f"{' '.join(names):60} {updates:3} updates; by path from {path}; interrupted at "
          f"{', '.join(map(str, cell.interruptions)) or 'none'}: {state}", flush=True)
    for problem in cell.problems[:8]:
        print("    " + problem)
    if cell.problems:
        print("    with " + " ".join(overrides), flush=True)
    return len(cell.problems), len(cell.interruptions)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--cells", type=int, help="so many of them, drawn; default: all")
    parser.add_argument("--work", type=pathlib.Path, help="where the runs go, and stay; default: a temporary folder")
    options = parser.parse_args()
    program = options.program.resolve()
    rng = random.Random(options.seed)
    cells = list(itertools.product(SAMPLERS, CUTS, OPTIMIZERS, PRECISIONS, FROZEN))
    if options.cells:
        cells = sorted(rng.sample(cells, min(options.cells, len(cells))), key=cells.index)
    print(f"{run_files.version(program)}, seed {options.seed}, {len(cells)} cells", flush=True)
    begin, problems, interruptions = time.monotonic(), 0, 0
    for names in cells:
        root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-resume-", dir=options.work))
        tables = (SAMPLERS, CUTS, OPTIMIZERS, PRECISIONS, FROZEN)
        overrides = [item for table, name in zip(tables, names) for item in table[name]] + drawn_settings(rng)
        found, made = run_cell(program, root, names, overrides, rng)
        problems, interruptions = problems + found, interruptions + made
        if options.work is None:
            shutil.rmtree(root)
    print(f"{len(cells)} cells, {interruptions} interruptions, {problems} differences, "
          f"{time.monotonic() - begin:.0f} s, seed {options.seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
