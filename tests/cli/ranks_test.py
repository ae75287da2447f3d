"""Training on several ranks through the program: stages and numbers of ranks that agree, and how ranks end.

usage: ranks_test.py REPOSITORY PROGRAM
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
PREFIXES = ("RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "OMPI_", "PMI", "MPI_", "OMP_NUM_THREADS", "MLFLOW", "AZUREML")
SMOKE = ["train", "configs/smoke/tiny_bart.yaml", "run.threads=1", "train.log_every_updates=1"]
LEARNS_ONLY = ["test.generate=false", "checkpoint.best_metric=none"]
SHORT = [*LEARNS_ONLY, "train.max_updates=12", "validation.every_epochs=1", "validation.generate=false"]
# To be stopped in the middle, and long enough for that.
LONG = [*LEARNS_ONLY, "train.max_updates=160", "train.epochs=null", "checkpoint.every_updates=40"]
RARELY = ["validation.every_epochs=10", "validation.generate=false"]
SEVERAL_MICRO_BATCHES = "train.micro_batch_tokens=150"
SECONDS = 60
DEADLINE = 6
DATA_ERROR, RANK_ERROR = 3, 71


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIXES)}
    return {**kept, "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "TXTSUM_DEADLINE_SECONDS": str(DEADLINE), **more}


def command(folder, ranks, *overrides, by="launch", options=()):
    words = [PROGRAM, *SMOKE, f"run.output={folder}", *overrides]
    if by == "mpirun":
        return ["mpirun", "--allow-run-as-root", "--oversubscribe", *options, "-n", str(ranks), *words]
    return words if ranks == 1 else [PROGRAM, "launch", "--processes", str(ranks), *options, "--", *words[1:]]


def updates(folder):
    lines = (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == "update"]


def of_updates(folder, *keys):
    return [tuple(row[key] for key in keys) for row in updates(folder)]


def weights(folder):
    return (folder / "model/model.safetensors").read_bytes()


def processes_of(folder):
    """Those that have the folder in their command line, by what RANK is there; launchers have none."""
    found = {}
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if f"run.output={folder}".encode() not in (process / "cmdline").read_bytes().split(b"\0"):
                continue
            entries = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ranks = [int(entry[5:]) for entry in entries if entry.startswith(b"RANK=")]
        found[ranks[0] if ranks else None] = int(process.name)
    return found


class Started:
    """A training that a test disturbs."""

    def __init__(self, folder, words):
        self.folder = folder
        self.process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=environment())
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self.reader.start()

    def wait_for(self, is_there, what):
        deadline = time.monotonic() + SECONDS
        while not is_there():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no {what}: " + "".join(self.lines))
            time.sleep(0.01)

    def wait_for_step(self, update):
        self.wait_for((self.folder / f"checkpoints/step-{update}/DONE").exists, f"step {update}")

    def wait_for_update(self, update):
        steps = self.folder / "steps.jsonl"
        self.wait_for(lambda: steps.exists() and f'"event":"update","update":{update},' in steps.read_text(), f"update {update}")

    def end(self, seconds=SECONDS):
        """Returns (exit code, output)."""
        code = self.process.wait(seconds)
        self.reader.join(seconds)
        return code, "".join(self.lines)

    def clean(self):
        for process in processes_of(self.folder).values():
            os.kill(process, signal.SIGKILL)
        self.process.wait(SECONDS)
        self.reader.join(SECONDS)
        self.process.stdout.close()


class RanksTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-ranks-"))
        self.addCleanup(shutil.rmtree, self.root)

    def train(self, name, ranks, *overrides, by="launch"):
        folder = self.root / name
        result = subprocess.run(command(folder, ranks, *overrides, by=by), cwd=REPOSITORY, capture_output=True, text=True,
                                timeout=SECONDS, env=environment())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return folder

    def start(self, name, ranks, *overrides, **how):
        started = Started(self.root / name, command(self.root / name, ranks, *overrides, **how))
        self.addCleanup(started.clean)
        return started

    def fails(self, name, ranks, *overrides):
        result = subprocess.run(command(self.root / name, ranks, *overrides), cwd=REPOSITORY, capture_output=True, text=True,
                                timeout=SECONDS, env=environment())
        self.assertEqual(processes_of(self.root / name), {})
        return result.returncode, result.stderr

    def assert_same_bits(self, first, second):
        self.assertEqual(of_updates(first, "update", "loss", "gradient_norm", "examples", "source_tokens"),
                         of_updates(second, "update", "loss", "gradient_norm", "examples", "source_tokens"))
        self.assertTrue(weights(first) == weights(second), "the finished weights differ")

    def assert_close(self, first, second, relative):
        pairs = list(zip(updates(first), updates(second), strict=True))
        for one, two in pairs:
            self.assertLessEqual(abs(one["loss"] - two["loss"]), relative * one["loss"], (one, two))
            self.assertEqual([one[key] for key in ("examples", "source_tokens", "target_tokens")],
                             [two[key] for key in ("examples", "source_tokens", "target_tokens")])


class AgreementTest(RanksTest):
    def test_on_two_ranks_every_stage_gives_the_same_bits_and_the_losses_of_one_rank(self):
        whole = ["train.max_updates=12", "validation.every_epochs=1"]
        one = self.train("one", 1, *whole)
        runs = [self.train(f"stage{stage}", 2, *whole, f"parallel.zero_stage={stage}") for stage in range(4)]
        self.assert_close(one, runs[0], 1e-6)
        for run in runs[1:]:
            self.assert_same_bits(runs[0], run)
            self.assertEqual((run / "predictions.jsonl").read_bytes(), (runs[0] / "predictions.jsonl").read_bytes())
            metrics = [[row.get("rouge1") for row in map(json.loads, (each / "steps.jsonl").read_text().splitlines())]
                       for each in (run, runs[0])]
            self.assertEqual(metrics[0], metrics[1])
        self.assertEqual(list(json.loads((one / "report.json").read_text())["phases"]),
                         list(json.loads((runs[3] / "report.json").read_text())["phases"]))

    def test_three_ranks_agree_too(self):
        one = self.train("one", 1, *SHORT)
        runs = [self.train(f"stage{stage}", 3, *SHORT, f"parallel.zero_stage={stage}") for stage in (0, 3)]
        self.assert_same_bits(*runs)
        self.assert_close(one, runs[0], 1e-6)

    def test_mpirun_gives_the_bits_of_launch(self):
        if shutil.which("mpirun") is None:
            self.skipTest("there is no mpirun")
        launched = self.train("launched", 2, *SHORT)
        for stage in (0, 3):
            self.assert_same_bits(launched, self.train(f"mpi{stage}", 2, *SHORT, f"parallel.zero_stage={stage}", by="mpirun"))

    def test_bf16_agrees_too(self):
        runs = [self.train(f"stage{stage}", 2, *SHORT, "train.precision=bf16", f"parallel.zero_stage={stage}")
                for stage in (0, 3)]
        self.assert_same_bits(*runs)

    def test_several_micro_batches_a_frozen_encoder_and_recomputation(self):
        """Stages 0 and 1 add micro-batches before ranks, 2 and 3 ranks before micro-batches."""
        runs = [self.train(f"stage{stage}", 2, *SHORT, SEVERAL_MICRO_BATCHES, "model.freeze=encoder",
                           "train.recompute=blocks", f"parallel.zero_stage={stage}") for stage in range(4)]
        self.assert_same_bits(runs[0], runs[1])
        self.assert_same_bits(runs[2], runs[3])
        self.assert_close(runs[0], runs[2], 1e-6)

    def test_ranks_share_one_file_of_a_frozen_encoders_outputs(self):
        frozen = [*SHORT, SEVERAL_MICRO_BATCHES, "model.freeze=encoder"]
        keeps = [*frozen, "train.cache_encoder=true", f"data.cache={self.root / 'cache'}"]
        runs = [self.train(f"stage{stage}", 2, *keeps, f"parallel.zero_stage={stage}") for stage in (0, 1, 2, 3)]
        self.assert_same_bits(runs[0], runs[1])
        self.assert_same_bits(runs[2], runs[3])
        self.assert_close(self.train("one", 1, *frozen), runs[0], 1e-5)
        kept = [json.loads((folder / "report.json").read_text())["freezing"]["encoder_cache"] for folder in runs]
        self.assertEqual([cache["encoded_examples"] for cache in kept], [200, 0, 0, 0])
        self.assertEqual(len(list((self.root / "cache").glob("*.rows"))), 1)

    def test_adafactor_trains_on_ranks_and_is_not_shared(self):
        adafactor = [*SHORT, "optimizer.name=adafactor"]
        self.assert_close(self.train("one", 1, *adafactor), self.train("two", 2, *adafactor), 1e-5)
        code, output = self.fails("shared", 2, *adafactor, "parallel.zero_stage=1")
        self.assertEqual(code, 2, output)
        self.assertIn("take parallel.zero_stage=0", output)


class EndTest(RanksTest):
    def test_a_signal_saves_and_other_ranks_in_another_stage_go_on(self):
        stopped = self.start("stopped", 2, *LONG, *RARELY, "parallel.zero_stage=2")
        stopped.wait_for_step(40)
        stopped.process.send_signal(signal.SIGTERM)
        code, output = stopped.end()
        self.assertEqual(code, 128 + signal.SIGTERM, output)
        self.assertRegex(output, r"saved step \d+; resume with .*train configs/smoke/tiny_bart.yaml")
        self.assertEqual(processes_of(stopped.folder), {})
        resumed = self.train("stopped", 3, *LONG, *RARELY, "parallel.zero_stage=3")
        self.assertEqual([row["update"] for row in updates(resumed)], list(range(1, 161)))
        again = self.train("stopped", 1, *LONG, *RARELY)
        self.assertEqual(len(json.loads((again / "report.json").read_text())["attempts"]), 2)

    def test_a_signal_to_one_rank_while_it_validates_stops_all(self):
        often = [*LONG, "validation.every_epochs=null", "validation.every_updates=1",
                 "data.validation=tests/fixtures/smoke/train.jsonl"]
        stopped = self.start("stopped", 2, *often, "parallel.zero_stage=3")
        stopped.wait_for_update(4)
        os.kill(processes_of(stopped.folder)[1], signal.SIGTERM)
        code, output = stopped.end()
        self.assertEqual(code, 128 + signal.SIGTERM, output)
        self.assertIn("saved step", output)
        self.assertNotIn("gave up", output)

    def test_after_a_killed_rank_the_same_command_gives_the_bits_of_an_undisturbed_run(self):
        setting = [*LONG, *RARELY, "parallel.zero_stage=3"]
        whole = self.train("whole", 2, *setting)
        for victim, update in ((1, 40), (0, 80)):
            killed = self.start("killed", 2, *setting)
            killed.wait_for_step(update)
            began = time.monotonic()
            os.kill(processes_of(killed.folder)[victim], signal.SIGKILL)
            code, output = killed.end(DEADLINE + 5)
            self.assertEqual(code, 128 + signal.SIGKILL, output)
            self.assertLess(time.monotonic() - began, DEADLINE)
            self.assertRegex(output, rf"update \d+, .*, collective \d+ \(.*rank {victim} has closed its connection")
            self.assertEqual(processes_of(killed.folder), {})
        self.train("killed", 2, *setting)
        self.assertTrue(weights(whole) == weights(killed.folder), "the finished weights differ")
        self.assertEqual(of_updates(whole, "update", "loss"), of_updates(killed.folder, "update", "loss"))

    def test_a_rank_that_stands_still_ends_the_others_at_the_deadline(self):
        stalled = self.start("stalled", 2, *LONG, *RARELY, "parallel.zero_stage=1", options=["--grace-seconds", "1"])
        stalled.wait_for_step(40)
        began = time.monotonic()
        os.kill(processes_of(stalled.folder)[1], signal.SIGSTOP)
        code, output = stalled.end(DEADLINE + 10)
        self.assertEqual(code, RANK_ERROR, output)
        self.assertGreater(time.monotonic() - began, DEADLINE - 1)
        self.assertRegex(output, r"rank 0 of 2: update \d+, [a-z ]+, collective \d+ \([a-z_]+.*\): not over within 6 s; "
                                 r"rank 1 has not come")
        self.assertEqual(processes_of(stalled.folder), {})

    def test_a_rank_that_cannot_read_its_data_ends_the_others_with_its_reason(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        ranks = []
        for rank, data in enumerate(("tests/fixtures/smoke/train.jsonl", "nothing.jsonl")):
            words = command(self.root / "unreadable", 1, *SHORT, f"data.train={data}")
            variables = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                         "MASTER_PORT": str(port)}
            ranks.append(subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                          env=environment(**variables)))
        outputs = [process.communicate(timeout=SECONDS)[0] for process in ranks]
        self.assertEqual(ranks[1].returncode, DATA_ERROR, outputs[1])
        self.assertEqual(ranks[0].returncode, RANK_ERROR, outputs[0])
        self.assertIn("nothing.jsonl", outputs[0])
        self.assertIn("rank 1 gave up", outputs[0])

    def test_a_loss_that_is_not_finite_ends_all_with_the_same_words(self):
        for stage in (0, 3):
            code, output = self.fails(f"wild{stage}", 2, *SHORT, "optimizer.learning_rate=1e30", "schedule.warmup_share=0",
                                      f"parallel.zero_stage={stage}")
            self.assertEqual(code, DATA_ERROR, output)
            self.assertRegex(output, r"update \d+: (loss|gradient norm) is -?(nan|inf).*nothing was updated")


if __name__ == "__main__":
    unittest.main()
