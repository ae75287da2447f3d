#!/usr/bin/env python3
"""Kill a training, or an evaluation, by SIGKILL at random moments, again and again, and check that nothing is lost.

usage: kill_loop.py PROGRAM [--kills N] [--seed N] [--evaluate] [--in-place] [--work FOLDER]

A tiny training saves every 2 updates, validates with summaries every 6, and summarizes a test split at its end. It is
run once without interruption; then again in another folder, killed at random moments and started again by the same
command until it ends, then in a new folder, until N kills have been made. After each kill:

  * every step with a DONE has the bytes of the unbroken run's step, and so have the finished model and the
    predictions where they are there;
  * the newest step is not older than before, and no work is lost but what follows it: at most 2 updates;
  * every JSON file can be read; of the step log at most the last line is torn;
  * summaries of the test split that were written are there, and the next attempt keeps them.

With --in-place (checkpoint.publish=in_place) summaries and the finished model are compared at the end alone.

After the next start the log says from which step it went on, and that is the newest. At each end everything equals the
unbroken run: model, predictions, scores, log lines and saved steps. With --evaluate the same is done to `txtsum
evaluate`. Exit code 1 where anything was lost.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

import run_files

SAVE_EVERY, VALIDATE_EVERY, UPDATES = 2, 6, 24
TRAINING = [
    run_files.SMOKE, "data.max_train_examples=64", "data.max_validation_examples=8", "data.max_test_examples=12",
    "train.batch_size=8", "train.epochs=3", "train.log_every_updates=1", "model.dropout=0.1",
    f"validation.every_updates={VALIDATE_EVERY}", "validation.max_generated_examples=4",
    f"checkpoint.every_updates={SAVE_EVERY}", "generation.slots=2", "generation.beams=2",
    "metrics.bootstrap_resamples=50", "run.threads=1",
]
SCORES = ("predict_rouge1", "predict_rouge2", "predict_rougeL", "predict_rougeLsum", "predict_loss", "predict_gen_len")
START_SHARE = 0.15  # of the kills that fall before the first update, where there is little to lose


def read_json_files(folder):
    """Names of JSON files that cannot be read."""
    torn = []
    for path in [*folder.glob("*.json"), *folder.glob("attempts/*.json")]:
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            torn.append(str(path.relative_to(folder)))
    return torn


def summaries_in(folder):
    """Whole lines of the summaries that a generation has written, its first line included."""
    path = folder / "predictions.partial.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def scores_of(folder):
    path = folder / "predict_results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: results.get(name) for name in SCORES}


class Loop:
    """What is common to both jobs: start, wait, kill, check; `job` knows the folder."""

    def __init__(self, program, root, job, rng):
        self.program, self.root, self.job, self.rng = program, root, job, rng
        self.phases, self.lost, self.problems = collections.Counter(), collections.Counter(), []
        self.kills = self.rounds = 0
        self.pace = 1.0  # How slow the machine is now, beside the unbroken run.

    def complain(self, texts):
        for text in texts:
            self.problems.append(text)
            print(f"kill {self.kills}, round {self.rounds}: {text}", flush=True)

    def moment(self, begins, ends):
        first, last = (0, begins) if self.rng.random() < START_SHARE else (begins, ends)
        return self.pace * self.rng.uniform(first, last)

    def attempt(self, folder, begins, ends, may_kill):
        """Starts the job once. Returns whether it ended by itself."""
        before = self.job.state(folder)
        process = run_files.start(self.program, *self.job.arguments(folder))
        try:
            process.wait(self.moment(begins, ends) if may_kill else None)
        except run_files.subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        log = process.communicate()[1]
        if process.returncode not in (0, -signal.SIGKILL):
            self.complain([f"exit code {process.returncode}: {log[-500:]}"])
        self.complain(self.job.check_log(folder, log, before))
        ended = process.returncode == 0
        if may_kill:
            self.pace *= 0.8 if ended else 1.04
        if not ended:
            self.kills += 1
            phase, lost = self.job.what_was_hit(folder, log)
            self.phases[phase] += 1
            self.lost[lost] += 1
        self.complain(self.job.check(folder, before))
        return ended or self.job.is_complete(folder)

    def run(self, kills):
        begins, ends = self.job.prepare()
        print(f"unbroken: {ends:.2f} s, of which {begins:.2f} s before the work", flush=True)
        while self.kills < kills or self.rounds == 0:
            folder = self.root / f"round-{self.rounds}"
            attempts = 1
            while not self.attempt(folder, begins, ends, self.kills < kills):
                attempts += 1
            self.complain(self.job.check_end(folder))
            self.rounds += 1
            print(f"round {self.rounds}: {attempts} attempts, {self.kills} kills so far", flush=True)
            shutil.rmtree(folder)


class Training:
    def __init__(self, program, root, more):
        self.program, self.root, self.more = program, root, more

    def arguments(self, folder):
        return ["train", *TRAINING, *self.more, f"run.output={folder}"]

    def prepare(self):
        whole = self.root / "whole"
        begin = time.monotonic()
        process = run_files.start(self.program, *self.arguments(whole), "checkpoint.keep_last=null")
        begins = None
        while process.poll() is None:
            if begins is None and run_files.log_lines(whole):
                begins = time.monotonic() - begin
            time.sleep(0.005)
        if process.returncode != 0:
            raise RuntimeError(process.communicate()[1])
        ends = time.monotonic() - begin
        self.steps = {update: run_files.folder_content(step)
                      for update, step in run_files.finished_steps(whole).items()}
        self.model = run_files.folder_content(whole / "model")
        self.predictions = (whole / "predictions.jsonl").read_bytes()
        self.lines = run_files.log_lines(whole, ("update", "validation", "save"))
        self.scores = scores_of(whole)
        return begins, ends

    def state(self, folder):
        steps = run_files.finished_steps(folder)
        return {"newest": max(steps, default=0), "summaries": summaries_in(folder)}

    def check_log(self, folder, log, before):
        """Whether it went on from the newest step, where it got so far as to say so."""
        if "parameters" not in log:
            return []
        found = re.search(r"goes on from \S*/step-(\d+)", log)
        wanted = before["newest"]
        if (int(found[1]) if found else 0) != wanted:
            return [f"went on from {found[0] if found else 'the start'}, wanted step {wanted}"]
        return []

    def what_was_hit(self, folder, log):
        steps, lines = run_files.finished_steps(folder), run_files.log_lines(folder, ("update",))
        newest, last = max(steps, default=0), lines[-1]["update"] if lines else 0
        lost = max(0, last - newest)
        if "parameters" not in log and "nothing to do" not in log:
            return "loading", lost
        if any((folder / "checkpoints").glob(".step-*")):
            return "saving", lost
        if (folder / "report.json").exists():
            return "report", lost
        if summaries_in(folder):
            return "test split: summaries, scores", lost
        if "finished model: " in log or (folder / ".model.partial").exists():
            return "finished model, test split: loss", lost
        return ("validation or saving" if last % SAVE_EVERY == 0 and lost else "training"), lost

    def check(self, folder, before):
        texts = [f"{name} is torn" for name in read_json_files(folder)] if folder.exists() else []
        steps = run_files.finished_steps(folder)
        for update, step in steps.items():
            if update not in self.steps:
                texts.append(f"step-{update} is none of the unbroken run's")
                continue
            texts += run_files.differences(self.steps[update], run_files.folder_content(step), f"step-{update}")
        newest = max(steps, default=0)
        if newest < before["newest"]:
            texts.append(f"step-{before['newest']} was there, and step-{newest} is the newest now")
        lines = run_files.log_lines(folder, ("update",))
        if lines and lines[-1]["update"] - newest > SAVE_EVERY:
            texts.append(f"updates {newest + 1} to {lines[-1]['update']} are lost")
        # In place it grows under its name, and is written anew by the next attempt.
        if (folder / "model").exists() and not self.more:
            texts += run_files.differences(self.model, run_files.folder_content(folder / "model"), "model")
        predictions = folder / "predictions.jsonl"
        if predictions.exists() and predictions.read_bytes() != self.predictions:
            texts.append("predictions.jsonl differs")
        kept = before["summaries"]
        if summaries_in(folder)[:len(kept)] != kept and not (folder / "report.json").exists() and not self.more:
            texts.append(f"{len(kept) - 1} summaries were written, and are not there now")
        return texts

    def is_complete(self, folder):
        return False  # The same command says so.

    def check_end(self, folder):
        texts = run_files.first_difference(self.lines, run_files.log_lines(folder, ("update", "validation", "save")),
                                           "steps.jsonl")
        if max(run_files.finished_steps(folder), default=0) != UPDATES:
            texts.append(f"ends without step {UPDATES}")
        texts += run_files.differences(self.model, run_files.folder_content(folder / "model"), "model")
        if not (folder / "model/README.md").exists():
            texts.append("a finished run has no card")
        if not (folder / "model").exists() or not (folder / "predictions.jsonl").exists():
            texts.append("ends without model or predictions")
        if scores_of(folder) != self.scores:
            texts.append(f"scores: wanted {self.scores}, found {scores_of(folder)}")
        for path in folder.rglob("*"):
            if ".tmp." in path.name or path.name.endswith(".partial"):
                texts.append(f"{path.relative_to(folder)} was left behind")
        return texts


class Evaluating:
    def __init__(self, program, root):
        self.program, self.root = program, root

    def arguments(self, folder):
        return ["evaluate", self.root / "run", f"data.test={self.root / 'test.jsonl'}", "data.max_test_examples=null",
                f"run.output={folder}"]

    def prepare(self):
        run_files.run(self.program, "train", *TRAINING, "test.generate=false", f"run.output={self.root / 'run'}")
        text = (run_files.REPOSITORY / "tests/fixtures/smoke/test.jsonl").read_text(encoding="utf-8")
        (self.root / "test.jsonl").write_text(text * 8, encoding="utf-8")
        whole = self.root / "whole"
        begin, begins = time.monotonic(), None
        process = run_files.start(self.program, *self.arguments(whole))
        while process.poll() is None:
            if begins is None and len(summaries_in(whole)) > 1:
                begins = time.monotonic() - begin
            time.sleep(0.005)
        if process.returncode != 0:
            raise RuntimeError(process.communicate()[1])
        self.predictions = (whole / "predictions.jsonl").read_bytes()
        self.scores = scores_of(whole)
        return begins, time.monotonic() - begin

    def state(self, folder):
        return {"summaries": summaries_in(folder)}

    def check_log(self, folder, log, before):
        return []

    def what_was_hit(self, folder, log):
        if (folder / "report.json").exists():
            return "report", 0
        if (folder / "predictions.jsonl").exists():
            return "scores", 0
        return ("summaries" if len(summaries_in(folder)) > 1 else "loading, loss"), 0

    def check(self, folder, before):
        texts = [f"{name} is torn" for name in read_json_files(folder)] if folder.exists() else []
        kept = before["summaries"]
        if summaries_in(folder)[:len(kept)] != kept and not (folder / "report.json").exists():
            texts.append(f"{len(kept) - 1} summaries were written, and are not there now")
        predictions = folder / "predictions.jsonl"
        if predictions.exists() and predictions.read_bytes() != self.predictions:
            texts.append("predictions.jsonl differs")
        return texts

    def is_complete(self, folder):
        return (folder / "report.json").exists()  # The same command would refuse to write over it.

    def check_end(self, folder):
        texts = [] if (folder / "predictions.jsonl").exists() else ["ends without predictions"]
        if scores_of(folder) != self.scores:
            texts.append(f"scores: wanted {self.scores}, found {scores_of(folder)}")
        return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--evaluate", action="store_true", help="kill `txtsum evaluate` instead of `txtsum train`")
    parser.add_argument("--in-place", action="store_true", help="train with checkpoint.publish=in_place")
    parser.add_argument("--work", type=pathlib.Path, help="where the runs go; default: the temporary folder")
    options = parser.parse_args()
    program = options.program.resolve()
    root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-kills-", dir=options.work))
    more = ["checkpoint.publish=in_place"] if options.in_place else []
    job = Evaluating(program, root) if options.evaluate else Training(program, root, more)
    print(f"{run_files.version(program)}, seed {options.seed}", flush=True)
    begin = time.monotonic()
    loop = Loop(program, root, job, random.Random(options.seed))
    loop.run(options.kills)
    shutil.rmtree(root)
    print("\nkilled while                        kills")
    for phase, count in loop.phases.most_common():
        print(f"{phase:35} {count:5}")
    again = ", ".join(f"{lost}: {count} kills" for lost, count in sorted(loop.lost.items()))
    print("updates done again after a kill: " + again)
    print(f"{loop.kills} kills, {loop.rounds} runs brought to their end, {len(loop.problems)} problems, "
          f"{time.monotonic() - begin:.0f} s, seed {options.seed}")
    return 1 if loop.problems else 0


if __name__ == "__main__":
    sys.exit(main())
