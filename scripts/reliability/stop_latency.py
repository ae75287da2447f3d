#!/usr/bin/env python3
"""Measure how long txtsum takes to end after SIGTERM and SIGINT, in every phase, and that it leaves with 128 + n.

usage: stop_latency.py PROGRAM [--size tiny|small|base] [--repeats N] [--seed N] [--budget SECONDS] [--threads N] [--only TEXT]

The model is a BART of random weights: tiny (0.2 million parameters), small (20 million) or base (100 million, BART-base
without its vocabulary). The larger ones train with long documents, so that one update, one pass of the encoder or one
save takes seconds on a CPU. A phase is waited for by what the program has said or written, then a moment in it is drawn.
`ended` counts processes that were done before the signal came; `CPU s` is the most that was computed after it, which
a loaded machine stretches. Exit code 1 where a process took longer than the budget
(30 s: what Azure gives a low-priority node) or left with another code.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import run_files

SIZES = {"tiny": (64, 128, 2), "small": (384, 1536, 5), "base": (768, 3072, 6)}
WORDS = ("program prints friendly greeting library package tool reads writes files network small fast simple secure "
         "data text image sound server client module system user").split()
SECONDS = 600


@dataclasses.dataclass
class Phase:
    name: str
    arguments: list
    has_begun: object  # of (log, run folder)
    longest_delay: float


def write_model(folder, size):
    width, feed_forward, layers = SIZES[size]
    shutil.copytree(run_files.REPOSITORY / "configs/smoke/tiny-bart", folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"d_model": width, "encoder_layers": layers, "decoder_layers": layers, "encoder_ffn_dim": feed_forward,
               "decoder_ffn_dim": feed_forward, "max_position_embeddings": 1024}
    (folder / "config.json").write_text(json.dumps(config))


def write_documents(path, count, words, rng):
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(json.dumps({"document": " ".join(rng.choices(WORDS, k=words)), "summary": " ".join(rng.choices(WORDS, k=8))}) + "\n")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hears_signals(pid):
    """Whether the program has come so far as to handle signals; the system ends it before, without an exit code."""
    mask = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


class Table:
    def __init__(self, options, root):
        self.options, self.root, self.rng = options, root, random.Random(options.seed)
        self.failed = False
        write_model(root / "model", options.size)
        large = options.size != "tiny"
        write_documents(root / "few.jsonl", 64, 150 if large else 12, self.rng)
        write_documents(root / "many.jsonl", 200_000, 60, self.rng)

    def training(self, *more):
        few = self.root / "few.jsonl"
        return ["train", run_files.SMOKE, f"model.checkpoint={self.root / 'model'}", f"data.train={few}",
                f"data.validation={few}", f"data.test={few}", "data.max_source_tokens=1000", "data.max_target_tokens=120",
                "train.max_updates=100000", "train.epochs=100000", "checkpoint.best_metric=none", "test.generate=false",
                "generation.beams=4", "generation.max_new_tokens=100", "generation.min_new_tokens=90", "checkpoint.keep_last=1",
                f"run.threads={self.options.threads}", *more]

    def phases(self):
        def partial(log, folder):
            return any((folder / "checkpoints").glob(".step-*"))

        def started(log, folder):
            return "parameters" in log

        never = ["validation.every_updates=1000000", "checkpoint.every_updates=1000000"]
        starts = ["validation.on_start=true", *never]
        delay = {"tiny": 0.5, "small": 4, "base": 8}[self.options.size]
        many = self.root / "many.jsonl"
        return [
            Phase("reading and tokenizing", self.training(f"data.train={many}"), lambda log, folder: "txtsum" in log, 2),
            Phase("update", self.training("train.batch_size=64", *never), started, delay),
            Phase("update, recomputed", self.training("train.batch_size=64", "train.recompute=blocks", *never), started, delay),
            Phase("update, accumulated", self.training("train.batch_size=64", "train.micro_batch_tokens=2000", *never), started, delay),
            Phase("validation: loss", self.training("validation.generate=false", "train.batch_size=1", *starts), started, delay),
            Phase("validation: summaries", self.training("validation.loss=false", "train.batch_size=1", *starts), started, delay),
            Phase("save", self.training("train.batch_size=1", "checkpoint.every_updates=1", *never[:1]), partial, 0.5),
            Phase("encoder kept (train.cache_encoder)", self.training(
                "model.freeze=encoder", "train.cache_encoder=true", f"data.cache={self.root / 'cache'}", *never),
                lambda log, folder: any((self.root / "cache").glob("*.rows")), delay / 2),
            Phase("evaluate: loss and summaries", [
                "evaluate", run_files.SMOKE, "--model", self.model(), f"data.test={self.root / 'few.jsonl'}",
                "data.max_source_tokens=1000", "generation.min_new_tokens=90", "generation.max_new_tokens=100",
                f"run.threads={self.options.threads}"], lambda log, folder: "max_new_tokens" in log, delay),
            Phase("summarize", ["summarize", "--model", self.model(), "--input", self.root / "few.jsonl",
                                "generation.min_new_tokens=90", "generation.max_new_tokens=100",
                                f"run.threads={self.options.threads}"], lambda log, folder: "weights" in log, delay),
            Phase("tokenizer train", ["tokenizer", "train", "--output", self.root / "tokenizer", "--overwrite", many],
                  lambda log, folder: True, 2),
        ]

    def model(self):
        """A finished model of this size, made when it is first needed."""
        run = self.root / "trained"
        if not run.exists():
            run_files.run(self.options.program, *self.training(
                "train.batch_size=1", "train.max_updates=1", "validation.every_updates=1000000", "validation.generate=false",
                "data.max_validation_examples=1", f"run.output={run}"))
        return run / "model"

    def measure(self, phase, kind):
        """Seconds to the end, of which on a CPU, and the exit code; none where the process was faster."""
        folder = self.root / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.root / "cache", ignore_errors=True)
        log_path = self.root / "log.txt"
        output = [] if phase.arguments[0] in ("summarize", "tokenizer") else [f"run.output={folder}"]
        with log_path.open("w") as log_file:
            process = subprocess.Popen([self.options.program, *run_files.merged([*phase.arguments, *output])], cwd=run_files.REPOSITORY,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log_file,
                                       env=run_files.environment())
        until = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < until:
            if hears_signals(process.pid) and phase.has_begun(log_path.read_text(), folder):
                break
            time.sleep(0.005)
        time.sleep(self.rng.uniform(0.05, phase.longest_delay))
        if process.poll() is not None:
            return None, None, process.returncode
        begin, cpu_begin = time.monotonic(), cpu_seconds(process.pid)
        process.send_signal(kind)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return time.monotonic() - begin, usage.ru_utime + usage.ru_stime - cpu_begin, process.returncode

    def line(self, phase, kind):
        seconds, cpu, ended, codes = [], [], 0, set()
        for _ in range(self.options.repeats):
            took, of_cpu, code = self.measure(phase, kind)
            if took is None:
                ended += 1
            else:
                seconds.append(took)
                cpu.append(of_cpu)
                codes.add(code)
        wrong = codes - {128 + kind} or any(value > self.options.budget for value in seconds)
        self.failed = self.failed or bool(wrong)
        numbers = f"{statistics.median(seconds):8.2f} {max(seconds):8.2f} {max(cpu):8.2f}" if seconds else f"{'-':>8}" * 3
        print(f"{phase.name:36} {kind.name:8} {len(seconds):5} {ended:6} {numbers}  "
              f"{', '.join(map(str, sorted(codes)))}{'  WRONG' if wrong else ''}", flush=True)

    def run(self):
        print(f"{run_files.version(self.options.program)}, {self.options.size} model, {self.options.threads} thread(s), "
              f"seed {self.options.seed}")
        print(f"{'phase':36} {'signal':8} {'times':>5} {'ended':>6} {'median s':>8} {'most s':>8} {'CPU s':>8}  exit codes", flush=True)
        for phase in self.phases():
            if self.options.only and self.options.only not in phase.name:
                continue
            for kind in (signal.SIGTERM, signal.SIGINT):
                self.line(phase, kind)
        return 1 if self.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--budget", type=float, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="phases whose name has this text")
    options = parser.parse_args()
    options.program = options.program.resolve()
    with tempfile.TemporaryDirectory(prefix="txtsum-stop-") as root:
        return Table(options, pathlib.Path(root)).run()


if __name__ == "__main__":
    sys.exit(main())
