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
NO_OTHER_SPLITS = ["data.validation=[]", "data.test=[]", "validation.loss=false"]
SEVERAL_MICRO_BATCHES = "train.micro_batch_tokens=150"
SECONDS = 60
DEADLINE = 6
USER_ERROR, DATA_ERROR, RANK_ERROR = 2, 3, 71


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIXES)}
    return {**kept, "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "TXTSUM_DEADLINE_SECONDS": str(DEADLINE), **more}


def command(folder, ranks, *overrides, by="launch", options=(), config=None):
    words = [PROGRAM, *SMOKE, f"run.output={folder}", *overrides]
    if config is not None:  # for another working folder than the repository
        words[2] = config / words[2]
        words.append(f"model.checkpoint={config}/configs/smoke/tiny-bart")
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

    def start_by_hand(self, *ranks):
        """Starts one process a rank, as on machines of their own: its words and, if not the repository, its working folder
        (`cwd`)."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        started = []
        for rank, each in enumerate(ranks):
            variables = {"RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": str(len(ranks)),
                         "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            started.append(subprocess.Popen(each["words"], cwd=each.get("cwd", REPOSITORY), stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True, env=environment(**variables)))
            self.addCleanup(started[-1].kill)
        return started

    def by_hand(self, *ranks):
        """Returns (exit code, output) of each."""
        return self.ends_of(self.start_by_hand(*ranks))

    def ends_of(self, started):
        outputs = [process.communicate(timeout=SECONDS)[0] for process in started]
        return [(process.returncode, output) for process, output in zip(started, outputs)]

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


    def test_offload_changes_no_bit_and_may_differ_at_a_resume(self):
        """On a CPU, where it moves nothing."""
        narrow = [*LONG, *RARELY, "train.precision=bf16"]
        whole = self.train("whole", 2, *narrow)
        offloads = ["parallel.zero_stage=3", "parallel.offload=optimizer_and_parameters"]
        stopped = self.start("stopped", 2, *narrow, *offloads)
        stopped.wait_for_step(40)
        stopped.process.send_signal(signal.SIGTERM)
        code, output = stopped.end()
        self.assertEqual(code, 128 + signal.SIGTERM, output)
        self.assertIn("optimizer_and_parameters, which saves nothing: a CPU's memory is host memory", output)
        self.assert_same_bits(whole, self.train("stopped", 2, *narrow, "parallel.offload=optimizer"))

    def test_offload_names_what_it_needs(self):
        code, output = self.fails("stage", 2, *SHORT, "parallel.offload=optimizer_and_parameters")
        self.assertEqual(code, 2, output)
        self.assertIn("write parallel.zero_stage=3", output)


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

    def test_a_signal_to_one_rank_alone_while_it_trains_stops_all(self):
        for victim in (0, 1):
            folder = self.root / f"alone{victim}"
            words = command(folder, 1, *LONG, *RARELY, "parallel.zero_stage=1")
            started = self.start_by_hand({"words": words}, {"words": words})
            steps, deadline = folder / "steps.jsonl", time.monotonic() + SECONDS
            while not (steps.exists() and '"event":"update","update":4,' in steps.read_text()):
                self.assertIsNone(started[0].poll())
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            began = time.monotonic()
            started[victim].send_signal(signal.SIGTERM)
            ends = self.ends_of(started)
            self.assertEqual([code for code, _ in ends], [128 + signal.SIGTERM] * 2, ends)
            self.assertLess(time.monotonic() - began, 8, ends)
            self.assertIn("saved step", ends[0][1])

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

    def test_a_signal_while_the_ranks_read_their_data_stops_all(self):
        """To one rank, which the others hear of, and to the launcher, which passes it on."""
        text = (REPOSITORY / "tests/fixtures/smoke/train.jsonl").read_text(encoding="utf-8")
        long = self.root / "long.jsonl"
        with long.open("w", encoding="utf-8") as file:
            for _ in range(2500):
                file.write(text)
        for victim in (1, 0, None):
            stopped = self.start(f"reading{victim}", 2, *LONG, *RARELY, f"data.train={long}")
            stopped.wait_for(lambda: sum("long.jsonl: document -> summary" in line for line in stopped.lines) == 2, "reading")
            began = time.monotonic()
            process = stopped.process.pid if victim is None else processes_of(stopped.folder)[victim]
            os.kill(process, signal.SIGTERM)
            code, output = stopped.end()
            self.assertEqual(code, 128 + signal.SIGTERM, output)
            self.assertLess(time.monotonic() - began, 8, output)
            self.assertEqual(processes_of(stopped.folder), {})
            self.assertNotIn("train 1/", output)

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
        data = self.root / "there/pairs.jsonl"
        data.parent.mkdir()
        shutil.copy(REPOSITORY / "tests/fixtures/smoke/train.jsonl", data)
        words = command(self.root / "unreadable", 1, *SHORT, *NO_OTHER_SPLITS, "data.train=pairs.jsonl", config=REPOSITORY)
        ends = self.by_hand({"words": words, "cwd": data.parent}, {"words": words, "cwd": self.root})
        self.assertEqual([code for code, _ in ends], [RANK_ERROR, DATA_ERROR], ends)
        self.assertIn("pairs.jsonl", ends[0][1])
        self.assertIn("rank 1 gave up", ends[0][1])

    def test_a_loss_that_is_not_finite_ends_all_with_the_same_words(self):
        for stage in (0, 3):
            code, output = self.fails(f"wild{stage}", 2, *SHORT, "optimizer.learning_rate=1e30", "schedule.warmup_share=0",
                                      f"parallel.zero_stage={stage}")
            self.assertEqual(code, DATA_ERROR, output)
            self.assertRegex(output, r"update \d+: (loss|gradient norm) is -?(nan|inf).*nothing of it was saved")


class StartTest(RanksTest):
    """What would fail after hours, or never be noticed."""

    def wait_until_it_listens_to(self, process, number):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
            caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
            if caught >> (number - 1) & 1:
                return
            time.sleep(0.05)
        self.fail("no handler of the signal")

    def test_a_run_folder_that_is_not_the_same_for_all_is_refused(self):
        for machine in ("a", "b"):
            (self.root / machine).mkdir()
        words = command("run", 1, *SHORT, *NO_OTHER_SPLITS, f"data.train={REPOSITORY}/tests/fixtures/smoke/train.jsonl",
                        config=REPOSITORY)
        ends = self.by_hand({"words": words, "cwd": self.root / "a"}, {"words": words, "cwd": self.root / "b"})
        for code, output in ends:
            self.assertEqual(code, USER_ERROR, output)
            self.assertRegex(output, rf"run.output=run: rank 1 \(.*{self.root}/b/run\) does not see what rank 0 wrote there; "
                                     rf"it is .*{self.root}/a/run for rank 0")
        self.assertEqual(list((self.root / "a/run").iterdir()), [])
        together = self.by_hand({"words": words, "cwd": self.root / "a"}, {"words": words, "cwd": self.root / "a"})
        self.assertEqual([code for code, _ in together], [0, 0], together)

    def test_a_signal_while_ranks_have_not_come_ends_those_that_wait(self):
        for rank in (0, 1):
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = listener.getsockname()[1]
            variables = {"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                         "TXTSUM_DEADLINE_SECONDS": "60"}
            process = subprocess.Popen(command(self.root / "run", 1, *SHORT), cwd=REPOSITORY, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, env=environment(**variables))
            self.wait_until_it_listens_to(process.pid, signal.SIGTERM)
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=5)[0]
            self.assertEqual(process.returncode, 128 + signal.SIGTERM, output)
            self.assertIn("stopped while the ranks came together", output)

    def test_ranks_with_different_configs_are_refused_by_key(self):
        words = [command(self.root / "run", 1, *SHORT, f"train.batch_size={size}") for size in (4, 8)]
        words[1][words[1].index("run.threads=1")] = "run.threads=2"  # may differ
        for code, output in self.by_hand(*({"words": each} for each in words)):
            self.assertEqual(code, USER_ERROR, output)
            self.assertRegex(output, r"rank 1 \(.*\) has train.batch_size=8, rank 0 \(.*\) has 4: start all ranks with the same")
        self.assertFalse((self.root / "run").exists())


class EvaluationTest(RanksTest):
    """Summaries by several ranks are those by one, in the order of the documents."""

    RESULTS = ("summary", "reference", "token_ids", "rouge1", "rouge2", "rougeL", "rougeLsum", "id")

    def run_program(self, ranks, *words, stdin=None):
        words = [PROGRAM, *words] if ranks == 1 else [PROGRAM, "launch", "--processes", str(ranks), "--", *words]
        result = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS, env=environment(),
                                input=stdin)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def predictions(self, folder):
        return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]

    def assert_same_summaries(self, first, second):
        for one, two in zip(first, second, strict=True):
            self.assertEqual([one.get(key) for key in self.RESULTS], [two.get(key) for key in self.RESULTS])
            self.assertAlmostEqual(one["score"], two["score"], places=5)

    def test_evaluate_summarizes_and_scores_alike_on_one_two_and_three_ranks(self):
        run = self.train("run", 1, "train.max_updates=26", "train.epochs=null")
        reports = {}
        for ranks in (1, 2, 3):
            folder = self.root / f"evaluated-{ranks}"
            self.run_program(ranks, "evaluate", str(run), f"run.output={folder}", "run.threads=1")
            self.assert_same_summaries(self.predictions(run), self.predictions(folder))
            self.assertFalse((folder / "predictions.partial.jsonl").exists())
            self.assertEqual((folder / "generated_predictions.txt").read_bytes(), (run / "generated_predictions.txt").read_bytes())
            reports[ranks] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        for report in (reports[2], reports[3]):
            self.assertEqual(report["quality"]["test"]["intervals"], reports[1]["quality"]["test"]["intervals"])
            self.assertAlmostEqual(report["quality"]["test"]["loss"], reports[1]["quality"]["test"]["loss"], places=5)
            for count in ("examples", "source_tokens", "target_tokens", "summaries"):
                self.assertEqual(report["phases"]["generate"]["work"][count],
                                 reports[1]["phases"]["generate"]["work"][count])

    def test_where_no_documents_share_a_step_the_files_are_the_same_bytes(self):
        run = self.train("run", 1, *SHORT)
        folders = [self.root / f"evaluated-{ranks}" for ranks in (1, 3)]
        for ranks, folder in zip((1, 3), folders):
            self.run_program(ranks, "evaluate", str(run), f"run.output={folder}", "run.threads=1", "generation.slots=1")
        for name in ("predictions.jsonl", "generated_predictions.txt"):
            self.assertEqual((folders[0] / name).read_bytes(), (folders[1] / name).read_bytes())

    def test_a_training_on_ranks_ends_with_the_test_split_of_one(self):
        run = self.train("run", 2, "train.max_updates=26", "train.epochs=null", "parallel.zero_stage=3")
        folder = self.root / "evaluated"
        self.run_program(1, "evaluate", str(run), f"run.output={folder}", "run.threads=1")
        self.assert_same_summaries(self.predictions(run), self.predictions(folder))

    def test_summarize_takes_a_stream_that_rank_0_alone_has_and_keeps_its_order(self):
        run = self.train("run", 1, *SHORT)
        texts = [json.loads(line)["document"] for line in
                 (REPOSITORY / "tests/fixtures/smoke/test.jsonl").read_text(encoding="utf-8").splitlines()]
        stream = "\n".join([*texts[:5], "", *texts[5:9]]) + "\n"
        words = ["summarize", "--model", str(run / "model"), "run.threads=1", "generation.beams=2"]
        one, three = ([json.loads(line) for line in self.run_program(ranks, *words, stdin=stream).splitlines()] for ranks in (1, 3))
        self.assertEqual(len(one), 10)
        self.assertEqual(one[5]["summary"], "")
        self.assert_same_summaries(one, three)

    def long_evaluation(self):
        """Folder and words of an evaluation of 1,440 documents."""
        run, folder, documents = self.train("run", 1, *SHORT), self.root / "evaluated", self.root / "many.jsonl"
        text = (REPOSITORY / "tests/fixtures/smoke/test.jsonl").read_text(encoding="utf-8")
        documents.write_text(text * 60, encoding="utf-8")
        return folder, ["evaluate", str(run), f"run.output={folder}", f"data.test={documents}", "run.threads=1",
                        "generation.slots=1"]

    def test_a_rank_that_dies_ends_an_evaluation_and_what_was_written_is_not_made_again(self):
        folder, words = self.long_evaluation()
        partial = folder / "predictions.partial.jsonl"
        killed = Started(folder, [PROGRAM, "launch", "--processes", "2", "--", *words])
        self.addCleanup(killed.clean)
        killed.wait_for(lambda: partial.exists() and partial.read_bytes().count(b"\n") > 20, "summaries")
        os.kill(processes_of(folder)[1], signal.SIGKILL)
        code, output = killed.end(DEADLINE + 5)
        self.assertEqual(code, 128 + signal.SIGKILL, output)
        self.assertIn("rank 1 has closed its connection", output)
        kept = len(partial.read_text(encoding="utf-8").splitlines()) - 1
        self.assertGreater(kept, 20)
        self.run_program(2, *words)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        made = [attempt["phases"]["generate"]["summaries"] for attempt in
                (json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "attempts").iterdir()))]
        self.assertEqual(made[-1], 24 * 60 - kept, made)
        self.assertEqual(len(self.predictions(folder)), 24 * 60, report)

    def test_a_signal_to_one_rank_while_all_summarize_stops_all(self):
        folder, words = self.long_evaluation()
        # A round of 512 documents a rank takes a minute and more.
        words += ["generation.beams=8", "generation.min_new_tokens=60", "generation.max_new_tokens=60"]
        partial = folder / "predictions.partial.jsonl"
        stopped = Started(folder, [PROGRAM, "launch", "--processes", "2", "--", *words])
        self.addCleanup(stopped.clean)
        stopped.wait_for(lambda: partial.exists() and partial.read_bytes().count(b"\n") > 3, "summaries")
        began = time.monotonic()
        os.kill(processes_of(folder)[1], signal.SIGTERM)
        code, output = stopped.end()
        self.assertEqual(code, 128 + signal.SIGTERM, output)
        self.assertLess(time.monotonic() - began, 10, output)
        self.assertEqual(processes_of(folder), {})
        # What either rank had made is kept.
        kept = [json.loads(line)["document"] for line in partial.read_text(encoding="utf-8").splitlines()[1:]]
        self.assertEqual({document % 2 for document in kept}, {0, 1})


class FullDiskTest(RanksTest):
    SAVES = ["checkpoint.every_updates=4"]

    def test_a_rank_that_cannot_write_its_part_ends_all_and_the_last_checkpoint_stays(self):
        for stage in (1, 3):
            limited = self.start(f"stage{stage}", 2, *LONG, *RARELY, f"parallel.zero_stage={stage}")
            limited.wait_for_step(40)
            rank = str(processes_of(limited.folder)[1])
            subprocess.run(["prlimit", "--pid", rank, "--fsize=200000"], check=True)
            code, output = limited.end()
            self.assertEqual(code, DATA_ERROR, output)
            for who in ("", "rank 1: "):
                self.assertRegex(output, rf"(?m)^{who}\S+ E rank 1 of 2: .*/checkpoints/.*safetensors: cannot write: "
                                         r"File too large; checkpoints saved before are whole")
            left = sorted(path.name for path in (limited.folder / "checkpoints").iterdir())
            self.assertIn("step-40", left)
            self.assertFalse([name for name in left if name.endswith(".partial")])
            resumed = self.train(f"stage{stage}", 2, *LONG, *RARELY, f"parallel.zero_stage={stage}")
            self.assertEqual([row["update"] for row in updates(resumed)], list(range(1, 161)))

    def test_a_full_disk_ends_all_and_the_same_command_goes_on_when_there_is_room(self):
        """A disk of its own, with room for one checkpoint and not for two."""
        disk = self.root / "disk"
        disk.mkdir()
        # 0.8 MB of weights and 1.7 MB of moments a checkpoint.
        program = " ".join(map(str, command(disk / "run", 2, *SHORT, *self.SAVES, "parallel.zero_stage=2")))
        script = f"""mount -t tmpfs -o size=4500k none {disk} || exit 77
            {program}; echo "code $?"; ls -A {disk}/run/checkpoints
            mount -o remount,size=40m {disk} && {program}; echo "then $?"; ls -A {disk}/run/checkpoints"""
        result = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=REPOSITORY, capture_output=True, text=True,
                                timeout=2 * SECONDS, env=environment())
        if result.returncode == 77 or "unshare failed" in result.stderr:
            self.skipTest("no mounts of one's own here: " + result.stderr)
        output = result.stdout + result.stderr
        self.assertRegex(result.stderr, r"rank 0 of 2: .*/checkpoints/.*: cannot .*No space left on device")
        lines = [line for line in result.stdout.splitlines() if line.startswith(("code", "then", "step", "latest", "."))]
        self.assertEqual(lines[:4], ["code 3", "latest", "step-4", "then 0"], output)
        self.assertIn("step-12", lines[4:])


if __name__ == "__main__":
    unittest.main()
