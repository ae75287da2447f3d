"""Bad input, damaged files and full disks, through the binary: the exit code, the text, and that nothing is lost.

usage: bad_input_test.py REPOSITORY PROGRAM
"""

import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SMOKE = "configs/smoke/tiny_bart.yaml"
# 12 updates, saved at 3, 6, 9 and 12.
SHORT = ["train.max_updates=12", "train.epochs=null", "train.log_every_updates=1", "checkpoint.every_updates=3",
         "checkpoint.keep_last=3", "checkpoint.best_metric=none", "validation.generate=false", "test.generate=false",
         "run.threads=1"]
# What is written here is synced: a file system in memory is spared that.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
USER, DATA, ENVIRONMENT = 2, 3, 71
SECONDS = 60


def environment():
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    kept.pop("WORLD_SIZE", None)
    kept["OMP_NUM_THREADS"] = "1"
    return kept


def run(*arguments, text="", **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=REPOSITORY, input=text, capture_output=True, text=True,
                          timeout=SECONDS, env=environment(), **more)


def train(folder, *overrides):
    """Arguments of the short training; of a key that is set twice the last counts."""
    values = dict(pair.split("=", 1) for pair in map(str, (*SHORT, f"run.output={folder}", *overrides)))
    return ["train", SMOKE, *(f"{key}={value}" for key, value in values.items())]


def losses(folder):
    lines = (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["update"], row["loss"]) for row in map(json.loads, lines) if row["event"] == "update"]


def read_weights(path):
    """Header and data of a safetensors file."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + length]), data[8 + length:]


def write_weights(path, header, data):
    """The tensors of `header` with their bytes in `data`, one after the other."""
    entries, parts, place = {}, [], 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        parts.append(data[begin:end])
        entries[name] = {**entry, "data_offsets": [place, place + end - begin]}
        place += end - begin
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-bad-input-", dir=MEMORY))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.whole = cls.shared / "whole"
        result = run(*train(cls.whole))
        if result.returncode != 0:
            raise RuntimeError(result.stderr)

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.shared))

    def refused(self, code, wanted, *arguments, text="", **more):
        """Runs the program, which ends with `code` and says each of `wanted`."""
        result = run(*arguments, text=text, **more)
        self.assertEqual(result.returncode, code, result.stderr)
        for part in [wanted] if isinstance(wanted, str) else wanted:
            self.assertIn(str(part), result.stderr)
        return result

    def train_refused(self, code, wanted, *overrides, **more):
        return self.refused(code, wanted, *train(self.root / "run", *overrides), **more)

    # Data files.

    def data_refused(self, content, *wanted, name="bad.jsonl", overrides=()):
        path = self.root / name
        path.write_bytes(content)
        self.train_refused(DATA, [path, *wanted], f"data.train={path}", *overrides)

    def test_a_missing_file(self):
        self.train_refused(DATA, ["nothing.jsonl", "No such file"], "data.train=nothing.jsonl")

    def test_an_empty_file(self):
        self.data_refused(b"", "bad.jsonl")

    def test_a_file_of_blank_documents(self):
        self.data_refused(b'{"document": "  ", "summary": "x"}\n', "no example", "1 with an empty source")

    def test_a_blank_document_where_they_are_not_to_be_dropped(self):
        self.data_refused(b'{"document": "a b", "summary": "a"}\n{"document": "\\n", "summary": "x"}\n', ":2", "data.empty",
                          overrides=["data.empty=fail"])

    def test_a_broken_json_line(self):
        self.data_refused(b'{"document": "a", "summary": "b"}\n{"document": "a", "summ\n', ":2")

    def test_a_line_that_is_no_object(self):
        self.data_refused(b'{"document": "a", "summary": "b"}\n[1, 2]\n', ":2")

    def test_an_absent_column(self):
        self.data_refused(b'{"title": "a", "text_of_it": "b"}\n', "'title'", "'text_of_it'",
                          overrides=["data.source_column=title", "data.summary_column=abstract"])

    def test_invalid_utf8(self):
        self.data_refused(b'{"document": "a", "summary": "b"}\n{"document": "\xff\xfe", "summary": "b"}\n', ":2", "UTF-8")

    def test_a_column_that_is_no_text(self):
        self.data_refused(b'{"document": "a", "summary": "b"}\n{"document": 7, "summary": "b"}\n', ":2", "document")

    def test_a_csv_row_with_too_few_fields(self):
        self.data_refused(b"document,summary\na,b\nonly one\n", ":3", name="bad.csv")

    def test_a_data_file_that_vanishes_after_it_was_read_is_not_missed(self):
        path, folder = self.root / "train.jsonl", self.root / "run"
        shutil.copy(REPOSITORY / "tests/fixtures/smoke/train.jsonl", path)
        process = self.start(folder, f"data.train={path}", "train.max_updates=60")
        self.wait_for(folder / "checkpoints/step-3/DONE", process)
        path.unlink()
        self.assertEqual(process.wait(SECONDS), 0)
        # Another start needs it.
        self.refused(DATA, [path, "No such file"], *train(self.root / "other", f"data.train={path}"))

    def test_a_cache_that_is_cut_short_while_it_is_read(self):
        cache, folder = self.root / "cache", self.root / "run"
        process = self.start(folder, f"data.cache={cache}", "train.max_updates=3000", "data.prefetch_batches=0")
        self.wait_for(folder / "checkpoints/step-3/DONE", process)
        for path in cache.glob("*.tokens"):
            os.truncate(path, 0)
        self.assertEqual(process.wait(SECONDS), ENVIRONMENT)
        self.assertIn("cut short", process.stderr.read())
        # What is left is told from a cache, and made again.
        again = run(*train(self.root / "again", f"data.cache={cache}"))
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(losses(self.root / "again"), losses(self.whole))

    # Models.

    def model(self):
        """A copy of a finished model: its folder."""
        return pathlib.Path(shutil.copytree(self.whole / "model", self.root / "model"))

    def model_refused(self, folder, *wanted):
        self.train_refused(DATA, wanted, f"model.checkpoint={folder}", "model.init=pretrained")

    def test_a_missing_weight(self):
        folder = self.model()
        header, data = read_weights(folder / "model.safetensors")
        del header["model.encoder.layers.1.fc1.weight"]
        write_weights(folder / "model.safetensors", header, data)
        self.model_refused(folder, folder, "model.encoder.layers.1.fc1.weight is missing")

    def test_an_extra_weight(self):
        folder = self.model()
        header, data = read_weights(folder / "model.safetensors")
        header["model.encoder.layers.7.fc1.weight"] = header["model.encoder.layers.1.fc1.weight"]
        write_weights(folder / "model.safetensors", header, data)
        self.model_refused(folder, folder, "model.encoder.layers.7.fc1.weight does not belong to this model")

    def test_a_misshapen_weight(self):
        folder = self.model()
        header, data = read_weights(folder / "model.safetensors")
        header["model.encoder.layers.1.fc1.weight"]["shape"].reverse()
        write_weights(folder / "model.safetensors", header, data)
        self.model_refused(folder, folder, "model.encoder.layers.1.fc1.weight: wanted shape [128, 64], found [64, 128]")

    def test_truncated_weights(self):
        folder = self.model()
        os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 1)
        self.model_refused(folder, folder / "model.safetensors", "wanted", "found")

    def test_no_weights(self):
        folder = self.model()
        (folder / "model.safetensors").unlink()
        self.train_refused(USER, [folder, "model.safetensors"], f"model.checkpoint={folder}", "model.init=pretrained")

    def test_another_vocabulary_size(self):
        folder = self.model()
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 500}))
        self.model_refused(folder, folder, "wanted shape [500, 64], found [400, 64]")
        (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
        # Ids of the tokenizer would lie outside the table.
        self.train_refused(DATA, [folder, "the tokenizer gives a text the id", "has 300"], f"model.checkpoint={folder}", "model.init=random")

    def test_a_broken_config(self):
        folder = self.model()
        (folder / "config.json").write_text('{"model_type": "bart",\n')
        self.model_refused(folder, folder / "config.json", "byte")

    def test_a_model_of_another_kind(self):
        folder = self.model()
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
        self.model_refused(folder, folder / "config.json", "gpt2", "bart")

    def test_a_broken_tokenizer(self):
        folder = self.model()
        (folder / "tokenizer.json").write_text("{")
        self.model_refused(folder, folder / "tokenizer.json")

    # Configs.

    def test_what_a_config_may_not_say(self):
        for override, wanted in (
            ("train.epocs=3", "epochs"),
            ("train.batch_size=0", "train.batch_size"),
            ("model.dropout=1", "model.dropout"),
            ("optimizer.learning_rate=-1", "optimizer.learning_rate"),
            ("checkpoint.keep_last=0", "checkpoint.keep_last"),
            ("train.max_updates=1e30", "train.max_updates"),
            ("data.max_target_tokens=1000", "data.max_target_tokens=128 or less"),
            ("data.max_source_tokens=1000", "data.max_source_tokens=128 or less"),
            ("generation.max_new_tokens=1000", "generation.max_new_tokens"),
            ("checkpoint.best_metric=loss validation.loss=false", "best_metric"),
        ):
            with self.subTest(override=override):
                self.train_refused(USER, wanted, *override.split())

    def test_a_file_that_is_no_yaml(self):
        path = self.root / "experiment.yaml"
        path.write_text("train:\n  epochs: 3\n bad\n")
        self.refused(USER, f"{path}:3", "train", path)
        path.write_text("train: {epochs: 3}\ntrain: {epochs: 4}\n")
        self.refused(USER, [f"{path}:2", "train"], "train", path)
        path.write_bytes(b"run: {name: \"\xff\xfe\"}\n")
        self.refused(USER, f"{path}:1", "train", path)

    # Run folders.

    def start(self, folder, *overrides):
        process = subprocess.Popen([PROGRAM, *train(folder, *overrides)], cwd=REPOSITORY,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, path, process):
        deadline = time.monotonic() + SECONDS
        while not path.exists():
            self.assertIsNone(process.poll(), "the program ended before " + str(path))
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def copy_of_run(self, *steps):
        """A run that was killed after `steps`."""
        folder = self.root / "run"
        shutil.copytree(self.whole, folder)
        for name in ("report.json", "model", "train_results.json", "all_results.json"):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for step in (folder / "checkpoints").glob("step-*"):
            if int(step.name.removeprefix("step-")) not in steps:
                shutil.rmtree(step)
        return folder

    def goes_on(self, folder, step, *wanted):
        """The same command goes on from `step` and ends as the unbroken run."""
        result = run(*train(folder))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"goes on from {folder}/checkpoints/step-{step} " if step else "finished model", result.stderr)
        for part in wanted:
            self.assertRegex(result.stderr, part)
        self.assertEqual(losses(folder), losses(self.whole))
        self.assertEqual((folder / "model/model.safetensors").read_bytes(),
                         (self.whole / "model/model.safetensors").read_bytes())
        self.assertEqual((folder / "checkpoints/step-12/optimizer.safetensors").read_bytes(),
                         (self.whole / "checkpoints/step-12/optimizer.safetensors").read_bytes())

    def test_two_runs_in_one_folder(self):
        folder = self.root / "run"
        process = self.start(folder, "train.max_updates=3000")
        self.wait_for(folder / "checkpoints/step-3/DONE", process)
        # Together: each waits for ten seconds.
        others = [self.start(folder, "train.max_updates=3000", *more)
                  for more in ((), ("run.resume=never", "run.overwrite=true"))]
        self.refused(USER, "another txtsum", "evaluate", self.whole, f"run.output={folder}", "run.overwrite=true")
        for other in others:
            said = other.communicate(timeout=SECONDS)[1]
            self.assertEqual(other.returncode, USER, said)
            for part in (folder, "another txtsum", f"process {process.pid}", "run.output"):
                self.assertIn(str(part), said)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS), 128 + signal.SIGTERM)

    def test_a_lock_that_a_machine_which_is_gone_has_left_is_waited_for(self):
        folder = self.root / "run"
        folder.mkdir()
        with (folder / ".lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            held.write("process 1 on elsewhere\n")
            held.flush()
            process = self.start(folder)
            line = process.stderr.readline()
            self.assertIn("held by process 1 on elsewhere; waiting up to 120 s", line)
            self.assertIsNone(process.poll())
        self.assertEqual(process.wait(SECONDS), 0)
        self.assertEqual(losses(folder), losses(self.whole))

    def test_a_lock_of_a_process_that_is_ending_is_waited_for(self):
        folder = self.root / "run"
        folder.mkdir()
        with (folder / ".lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            held.write(f"process 1 on {socket.gethostname()}\n")
            held.flush()
            process = self.start(folder)
            self.assertIn("waiting up to 10 s, in case it is ending", process.stderr.readline())
            self.assertIsNone(process.poll())
        self.assertEqual(process.wait(SECONDS), 0)

    def damaged(self, step, name):
        return self.root / f"run/checkpoints/step-{step}/{name}"

    def test_a_truncated_checkpoint_is_passed_over(self):
        folder = self.copy_of_run(6, 9)
        os.truncate(self.damaged(9, "model.safetensors"), 1000)
        self.goes_on(folder, 6, r"W .*step-9/model\.safetensors: wanted \d+ bytes, found 1000")

    def test_a_checkpoint_with_a_byte_flipped_is_passed_over(self):
        folder = self.copy_of_run(6, 9)
        path = self.damaged(9, "optimizer.safetensors")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        self.goes_on(folder, 6, r"W .*step-9/optimizer\.safetensors: corrupt: wanted checksum")

    def test_a_checkpoint_without_one_of_its_files_is_passed_over(self):
        folder = self.copy_of_run(6, 9)
        self.damaged(9, "tokenizer.json").unlink()
        self.goes_on(folder, 6, r"W .*step-9/tokenizer\.json")

    def test_checkpoints_that_were_not_finished_are_removed(self):
        folder = self.copy_of_run(6, 9)
        self.damaged(9, "DONE").unlink()
        partial = folder / "checkpoints/.step-12.partial"
        partial.mkdir()
        (partial / "model.safetensors").write_bytes(b"half")
        self.goes_on(folder, 6, r"W removed .*step-9, which", r"W removed .*\.step-12\.partial, which")
        self.assertFalse(partial.exists())

    def test_a_run_without_a_whole_checkpoint_is_not_overwritten_silently(self):
        folder = self.copy_of_run(6, 9)
        for step in (6, 9):
            os.truncate(self.damaged(step, "model.safetensors"), 1000)
        before = sorted(path.name for path in (folder / "checkpoints").iterdir())
        self.train_refused(USER, ["none of whose checkpoints can be continued", "run.overwrite=true"])
        self.assertEqual(sorted(path.name for path in (folder / "checkpoints").iterdir()), before)
        result = run(*train(folder, "run.overwrite=true"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(losses(folder), losses(self.whole))

    def test_steps_without_optimizer_state_are_passed_over_unread(self):
        folder = self.root / "run"
        self.assertEqual(run(*train(folder, "checkpoint.optimizer_state=false")).returncode, 0)
        (folder / "report.json").unlink()
        path = self.damaged(12, "model.safetensors")
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        result = self.train_refused(USER, ["step-12 has no optimizer state", "none of whose checkpoints can be continued"])
        self.assertNotIn("corrupt", result.stderr)

    def test_going_back_within_a_run_is_refused_while_newer_steps_are_there(self):
        folder = self.copy_of_run(6, 9)
        back = f"run.resume={folder}/checkpoints/step-6/"
        self.train_refused(USER, ["has newer steps, step-9, and", "run.output=..."], back)
        self.assertTrue(self.damaged(9, "DONE").exists())
        self.damaged(9, "optimizer.safetensors").unlink()  # No later start would take it.
        result = run(*train(folder, back))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(losses(folder), losses(self.whole))

    def test_a_finished_run_that_went_back_and_was_killed_is_not_finished(self):
        folder = self.root / "run"
        shutil.copytree(self.whole, folder)
        for step in (9, 12):
            shutil.rmtree(folder / f"checkpoints/step-{step}")
        record = json.loads((folder / "attempts/attempt-0001.json").read_text())
        record.update(attempt=2, outcome="running", resumed_from_update=6, last_update=7)
        (folder / "attempts/attempt-0002.json").write_text(json.dumps(record))
        self.goes_on(folder, 6)

    def test_a_run_of_another_version(self):
        folder = self.copy_of_run(9)
        step = self.damaged(9, "training_state.json")
        step.write_text(step.read_text().replace('"version": 1', '"version": 2'))
        for name in ("checksums.json", "DONE"):  # as the other version would have written them: not damaged
            self.damaged(9, name).unlink()
        state = run(*train(self.root / "other", f"run.resume={folder / 'checkpoints/step-9'}"))
        self.assertEqual(state.returncode, DATA, state.stderr)
        config = folder / "config.yaml"
        config.write_text(config.read_text() + "future:\n  key: 1\n")
        self.refused(USER, [config, "future"], *train(folder))

    def test_other_data_of_the_same_size_are_not_continued(self):
        folder, data = self.copy_of_run(9), self.root / "train.jsonl"
        text = (REPOSITORY / "tests/fixtures/smoke/train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        data.write_text("".join(reversed(text)), encoding="utf-8")
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("tests/fixtures/smoke/train.jsonl", str(data)))
        self.train_refused(USER, "other data", f"data.train={data}")

    def test_a_run_folder_that_is_a_file(self):
        path = self.root / "file"
        path.write_text("mine\n")
        self.refused(DATA, [path, "cannot make the run folder"], "train", SMOKE, f"run.output={path}")
        self.assertEqual(path.read_text(), "mine\n")

    def on_a_disk(self, options, *commands):
        """Runs the commands where DISK is a file system of its own, or skips the test."""
        disk = self.root / "disk"
        disk.mkdir()
        script = f"mount -t tmpfs -o {options} none {disk} || exit 77\n" + "\n".join(commands).replace("DISK", str(disk))
        result = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=REPOSITORY, capture_output=True, text=True,
                                timeout=2 * SECONDS, env=environment())
        if result.returncode == 77 or "unshare failed" in result.stderr:
            self.skipTest("no mounts of one's own here: " + result.stderr)
        return result

    def test_a_read_only_folder(self):
        result = self.on_a_disk("ro", f"{PROGRAM} train {SMOKE} run.output=DISK/run; echo code $?")
        self.assertIn("code 3", result.stdout, result.stderr)
        self.assertRegex(result.stderr, r"disk/run: cannot make the run folder: Read-only file system")

    def test_a_finished_run_in_a_read_only_folder_is_finished(self):
        # As a copy of what counts, without the lock's file; on two ranks too.
        command = " ".join([str(PROGRAM), *train("DISK/run")])
        result = self.on_a_disk("size=40m", f"cp -r {self.whole} DISK/run && rm DISK/run/.lock && mount -o remount,ro DISK",
                                f"{command}; echo code $?",
                                f"{PROGRAM} launch --processes 2 -- {command.removeprefix(str(PROGRAM))}; echo code $?")
        self.assertEqual(result.stdout.split(), ["code", "0", "code", "0"], result.stderr)
        self.assertEqual(result.stderr.count("finished: nothing to do"), 2, result.stderr)

    def test_a_full_disk_and_then_room(self):
        # 0.8 MB of weights and 1.7 MB of moments a checkpoint: room for one and not for two.
        command = " ".join([str(PROGRAM), *train("DISK/run")])
        result = self.on_a_disk("size=4500k", f"{command}; echo code $?; ls DISK/run/checkpoints",
                                f"mount -o remount,size=40m DISK && {command}; echo code $?",
                                f"cp -r DISK/run {self.root}/run")
        self.assertEqual(result.stdout.split()[:4], ["code", "3", "latest", "step-3"], result.stderr)
        self.assertRegex(result.stderr, r"disk/run/checkpoints/\S+: cannot .*: No space left on device")
        self.assertIn("goes on from", result.stderr)
        self.assertEqual(losses(self.root / "run"), losses(self.whole))

    def test_a_limit_of_file_size(self):
        limit = 200_000
        folder = self.root / "run"
        self.train_refused(DATA, ["safetensors: cannot ", ": File too large"],
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertFalse(list((folder / "checkpoints").glob("step-*")))
        self.goes_on(folder, 0)

    # Other commands.

    def test_texts_that_cannot_be_summarized(self):
        model = ["summarize", "--model", self.whole / "model"]
        self.refused(DATA, "stdin:2", *model, "--input-format", "jsonl", text='{"document": "a"}\n{"document": \n')
        self.refused(DATA, ["stdin:1", "'document'", "--field"], *model, "--input-format", "jsonl", text='{"text": "a"}\n')
        self.refused(DATA, "nothing.txt", *model, "--input", "nothing.txt")

    def test_an_evaluation_of_what_is_not_there(self):
        self.refused(USER, "config.yaml", "evaluate", self.root)
        folder = self.copy_of_run(9)
        self.refused(USER, ["no finished model", "--model"], "evaluate", folder)

    def test_a_report_that_cannot_be_read(self):
        folder = self.root / "run"
        shutil.copytree(self.whole, folder)
        (folder / "report.json").write_text('{"attempts": [')
        self.train_refused(DATA, [folder / "report.json", "byte"])


if __name__ == "__main__":
    unittest.main()
