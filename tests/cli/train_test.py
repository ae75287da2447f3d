"""The main job through the binary: a tiny training end to end, its outputs, stop and resume, evaluate, summarize.

usage: train_test.py REPOSITORY PROGRAM
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SMOKE = "configs/smoke/tiny_bart.yaml"
# Long enough to be stopped in the middle, short enough to be finished again.
LONG = ["train.epochs=30", "validation.every_epochs=15", "checkpoint.every_updates=100"]

SHORT = ["train.epochs=2", "validation.generate=false", "checkpoint.best_metric=none", "test.generate=false"]
# The decoder alone learns, with dropout.
FROZEN = ["model.freeze=encoder", "model.dropout=0.1", "model.encoder_dropout=false"]


def clean_environment():
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    environment.pop("WORLD_SIZE", None)
    environment["OMP_NUM_THREADS"] = "2"
    return environment


def run(*arguments, text="", env=None):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=REPOSITORY, input=text, capture_output=True, text=True, timeout=300,
        env={**clean_environment(), **(env or {})},
    )


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def losses(folder):
    return [
        (row["update"], row["loss"], row["gradient_norm"])
        for row in read_lines(folder / "steps.jsonl")
        if row["event"] == "update"
    ]


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.done = cls.root / "done"
        cls.result = run("train", SMOKE, f"run.output={cls.done}")

    def start(self, folder, *overrides):
        return subprocess.Popen(
            [PROGRAM, "train", SMOKE, f"run.output={folder}", *LONG, *overrides], cwd=REPOSITORY,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(),
        )

    def wait_for(self, path, process):
        deadline = time.monotonic() + 120
        while not path.exists():
            self.assertIsNone(process.poll(), "the program ended before " + str(path))
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_a_trace_shows_the_operations_of_the_updates_asked_for(self):
        folder = self.root / "traced"
        result = run("train", SMOKE, f"run.output={folder}", "train.max_updates=8", "test.generate=false",
                     "validation.generate=false", "checkpoint.best_metric=none", "report.trace_updates=2",
                     "report.trace_from=4")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("trace of 2 updates", result.stderr)
        events = json.loads((folder / "trace.json").read_text())["traceEvents"]
        names = {event.get("name") for event in events}
        self.assertIn("aten::mm", names)
        self.assertEqual(json.loads((folder / "report.json").read_text())["gpu_work"], {})

    def test_a_training_ends_with_everything_that_is_promised(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)
        for name in (
            "config.yaml environment.json log.txt steps.jsonl predictions.jsonl report.json all_results.json "
            "train_results.json eval_results.json predict_results.json generated_predictions.txt trainer_state.json "
            "emissions.csv model/config.json model/model.safetensors model/tokenizer.json model/generation_config.json "
            "attempts/attempt-0001.json"
        ).split():
            self.assertTrue((self.done / name).is_file(), name)
        self.assertTrue(list((self.done / "tensorboard").iterdir()))
        self.assertFalse((self.done / "model/optimizer.safetensors").exists())
        self.assertFalse([path for path in self.done.rglob("*") if path.is_symlink()])
        self.assertFalse((self.done / "predictions.partial.jsonl").exists())

    def test_the_model_learns_and_results_agree_with_each_other(self):
        steps = losses(self.done)
        self.assertLess(steps[-1][1], steps[0][1] / 2)
        everything = json.loads((self.done / "all_results.json").read_text())
        report = json.loads((self.done / "report.json").read_text())
        predictions = read_lines(self.done / "predictions.jsonl")
        self.assertEqual(len(predictions), 24)
        self.assertEqual(report["quality"]["test"]["rouge1"], everything["predict_rouge1"])
        mean = sum(row["rouge1"] for row in predictions) / len(predictions)
        self.assertAlmostEqual(mean, everything["predict_rouge1"], places=3)
        self.assertGreater(everything["predict_rouge1"], 20)
        best = max((row["rouge1"], row["update"]) for row in read_lines(self.done / "steps.jsonl") if "rouge1" in row)
        state = json.loads((self.done / "trainer_state.json").read_text())
        self.assertEqual(state["best_global_step"], best[1])
        self.assertAlmostEqual(state["best_metric"], best[0])
        self.assertEqual(report["phases"]["train"]["work"]["updates"], 78)
        self.assertGreater(report["phases"]["train"]["flops"]["value"], 1e6)
        self.assertGreater(report["phases"]["generate"]["work"]["summaries"], 23)
        self.assertEqual([attempt["outcome"] for attempt in report["attempts"]], ["finished"])

    def test_the_same_command_again_finds_it_finished(self):
        before = (self.done / "report.json").read_bytes()
        again = run("train", SMOKE, f"run.output={self.done}")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("nothing to do", again.stderr)
        self.assertEqual((self.done / "report.json").read_bytes(), before)

    def test_another_config_is_refused_with_the_keys_that_differ(self):
        other = run("train", SMOKE, f"run.output={self.done}", "optimizer.learning_rate=1e-3", "train.epochs=7")
        self.assertEqual(other.returncode, 2)
        self.assertIn("optimizer.learning_rate: there 0.005, now 0.001", other.stderr)
        self.assertIn("train.epochs", other.stderr)
        self.assertIn("run.overwrite=true", other.stderr)

    def test_never_refuses_a_former_run_unless_it_may_be_deleted(self):
        folder = self.root / "never"
        shutil.copytree(self.done, folder)
        (folder / "mine.txt").write_text("not the run's\n")
        refused = run("train", SMOKE, f"run.output={folder}", "run.resume=never")
        self.assertEqual(refused.returncode, 2)
        allowed = run("train", SMOKE, f"run.output={folder}", "run.resume=never", "run.overwrite=true")
        self.assertEqual(allowed.returncode, 0, allowed.stderr)
        self.assertEqual(losses(folder), losses(self.done))
        self.assertEqual((folder / "mine.txt").read_text(), "not the run's\n")

    def test_sigterm_saves_and_a_resume_gives_the_same_bits(self):
        whole, stopped = self.root / "whole", self.root / "stopped"
        self.assertEqual(run("train", SMOKE, f"run.output={whole}", *LONG).returncode, 0)
        process = self.start(stopped)
        self.wait_for(stopped / "checkpoints/step-100/DONE", process)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=120)[0]
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, output)
        self.assertRegex(output, r"saved step \d+; resume with .*train configs/smoke/tiny_bart.yaml")
        self.assertEqual(json.loads((stopped / "report.json").read_text())["attempts"][0]["outcome"],
                         "stopped by signal 15")
        resumed = run("train", SMOKE, f"run.output={stopped}", *LONG)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertIn("goes on from", resumed.stderr)
        self.assertEqual(losses(stopped), losses(whole))
        self.assertEqual((stopped / "model/model.safetensors").read_bytes(),
                         (whole / "model/model.safetensors").read_bytes())
        self.assertEqual(len(json.loads((stopped / "report.json").read_text())["attempts"]), 2)

    def test_a_killed_run_goes_on_from_its_last_checkpoint_and_says_what_was_done_twice(self):
        killed, gap = self.root / "killed", 2.0
        process = self.start(killed)
        self.wait_for(killed / "checkpoints/step-100/DONE", process)
        record = killed / "attempts/attempt-0001.json"
        while json.loads(record.read_text())["last_update"] < 100:  # It follows the checkpoint.
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=120)
        time.sleep(gap)
        resumed = run("train", SMOKE, f"run.output={killed}", *LONG)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertRegex(resumed.stdout, r"time +at least ")
        updates = [update for update, _, _ in losses(killed)]
        self.assertEqual(updates, sorted(set(updates)))
        report = json.loads((killed / "report.json").read_text())
        first, second = report["attempts"]
        self.assertEqual([first["outcome"], second["outcome"]], ["running", "finished"])
        self.assertEqual([first.get("bound"), second.get("bound"), report["total"].get("bound")], ["lower", None, "lower"])
        self.assertEqual([doubt["what"].split(":")[0] for doubt in report["doubts"]], ["attempt 1"])
        # The gap is nobody's: neither attempt has it, and so no phase and no price has.
        between = second["start_unix_seconds"] - first["end_unix_seconds"]
        self.assertGreater(between, gap)
        self.assertLess(between, 120)
        self.assertGreater(first["phases"]["train"]["seconds"], 0)
        self.assertAlmostEqual(report["total"]["seconds"], first["seconds"] + second["seconds"], places=6)
        self.assertEqual(report["cost"]["wall_seconds"], report["total"]["seconds"])
        self.assertAlmostEqual(report["phases"]["train"]["seconds"],
                               sum(attempt["phases"]["train"]["seconds"] for attempt in (first, second)), places=6)
        for attempt in (first, second):
            self.assertLess(abs(attempt["end_unix_seconds"] - attempt["start_unix_seconds"] - attempt["seconds"]), 0.5)

    def test_idle_watts_are_read_before_the_run_where_there_is_a_meter(self):
        folder, domain = self.root / "idle", self.root / "powercap/intel-rapl:0"
        domain.mkdir(parents=True)
        (domain / "name").write_text("package-0\n")
        (domain / "max_energy_range_uj").write_text("262143328850\n")
        watts, ended, began = 40.0, threading.Event(), time.monotonic()

        def count():
            while True:
                whole = self.root / "energy_uj"
                whole.write_text(f"{int((time.monotonic() - began) * watts * 1e6)}\n")
                whole.replace(domain / "energy_uj")
                if ended.wait(0.01):
                    return

        counter = threading.Thread(target=count)
        counter.start()
        while not (domain / "energy_uj").exists():
            time.sleep(0.01)
        try:
            result = run("train", SMOKE, f"run.output={folder}", *SHORT, f"resources.rapl_root={domain.parent}")
        finally:
            ended.set()
            counter.join()
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads((folder / "report.json").read_text())
        idle = report["idle_watts"]["cpu"]
        self.assertEqual((idle["tag"], idle["unit"]), ("measured", "W"))
        self.assertAlmostEqual(idle["value"], watts, delta=4)
        self.assertGreaterEqual(report["attempts"][0]["idle"][0]["seconds"], 1.0)
        # The second that it takes is booked to no phase.
        attempt = report["attempts"][0]
        self.assertAlmostEqual(attempt["seconds"], attempt["end_unix_seconds"] - attempt["start_unix_seconds"], delta=0.5)
        self.assertAlmostEqual(report["total"]["mean_watts"]["value"], watts, delta=4)
        without = json.loads((self.done / "report.json").read_text())["idle_watts"]
        self.assertEqual((without["gpu"]["tag"], without["gpu"]["note"]), ("missing", "no GPU is in use"))

    def test_resume_by_path_continues_in_another_folder(self):
        other = self.root / "other"
        step = sorted((self.done / "checkpoints").glob("step-*"))[0]
        result = run("train", SMOKE, f"run.output={other}", f"run.resume={step}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(losses(other)[-1], losses(self.done)[-1])

    def test_publishing_in_place_leaves_the_same_run(self):
        folder = self.root / "in_place"
        result = run("train", SMOKE, f"run.output={folder}", "checkpoint.publish=in_place")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(losses(folder), losses(self.done))
        self.assertTrue(list((folder / "tensorboard").iterdir()))
        self.assertIn("finished model", (folder / "log.txt").read_text())

    def test_a_changed_training_set_is_not_continued(self):
        folder, data = self.root / "changed", self.root / "changed.jsonl"
        shutil.copy(REPOSITORY / "tests/fixtures/smoke/train.jsonl", data)
        process = self.start(folder, f"data.train={data}")
        self.wait_for(folder / "checkpoints/step-100/DONE", process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        lines = data.read_text().splitlines(keepends=True)
        data.write_text("".join(lines[:-1]))
        result = run("train", SMOKE, f"run.output={folder}", *LONG, f"data.train={data}")
        self.assertEqual(result.returncode, 2)
        self.assertIn("other data", result.stderr)

    def test_freezing_prints_what_it_saves_and_keeps_the_frozen_weights(self):
        folder = self.root / "frozen"
        result = run("train", SMOKE, f"run.output={folder}", "model.freeze=encoder.layers.0", "train.epochs=1",
                     "checkpoint.best_metric=none")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, r"encoder\.layers\.0 +\d")
        self.assertIn("saves MiB", result.stderr)

    def test_what_freezing_saves_is_in_the_report_and_said_at_the_end(self):
        folder = self.root / "frozen_encoder"
        result = run("train", SMOKE, f"run.output={folder}", "model.freeze=encoder", *SHORT)
        self.assertEqual(result.returncode, 0, result.stderr)
        saved = json.loads((folder / "report.json").read_text())["freezing"]
        self.assertEqual(saved["saved_bytes"]["gradients"], 4 * saved["frozen_parameters"])
        self.assertEqual(saved["saved_bytes"]["moments"], 8 * saved["frozen_parameters"])
        self.assertEqual(saved["bytes_if_all_learned"], 12 * saved["parameters"])
        self.assertIsNone(saved["encoder_cache"])
        self.assertEqual(saved["encoder_flops_not_done"]["value"], 0)
        everything = self.root / "everything_learns"
        self.assertEqual(run("train", SMOKE, f"run.output={everything}", *SHORT).returncode, 0)
        report = json.loads((everything / "report.json").read_text())
        self.assertEqual(report["freezing"], {})
        self.assertAlmostEqual(saved["training_flops"]["value"] + saved["backward_flops_not_done"]["value"],
                               report["phases"]["train"]["flops"]["value"], delta=1)
        self.assertRegex(result.stdout, r"freezing saved 1\.2 MiB of gradients and optimizer state \(48\.1 %\)")

    def test_a_frozen_encoder_runs_once_and_later_runs_find_its_outputs(self):
        cache = self.root / "encoder_cache"
        keeps = [*FROZEN, "train.cache_encoder=true", f"data.cache={cache}"]
        reports, steps = {}, {}
        for name, overrides in (("runs", FROZEN), ("makes", keeps), ("finds", keeps),
                                ("other_batches", [*keeps, "train.batch_size=8", "data.max_target_tokens=20"])):
            folder = self.root / f"encoder_{name}"
            result = run("train", SMOKE, f"run.output={folder}", *SHORT, *overrides)
            self.assertEqual(result.returncode, 0, result.stderr)
            reports[name], steps[name] = json.loads((folder / "report.json").read_text()), losses(folder)
        self.assertEqual(steps["makes"], steps["finds"])
        for kept, plain in zip(steps["makes"], steps["runs"], strict=True):
            self.assertAlmostEqual(kept[1], plain[1], delta=1e-5 * plain[1])
            self.assertAlmostEqual(kept[2], plain[2], delta=1e-4 * plain[2])
        encoded = {name: report["freezing"]["encoder_cache"]["encoded_examples"]
                   for name, report in reports.items() if name != "runs"}
        self.assertEqual(encoded, {"makes": 200, "finds": 0, "other_batches": 0})
        self.assertEqual(len(list(cache.glob("*.rows"))), 1)
        made, plain = reports["makes"], reports["runs"]
        self.assertEqual(made["freezing"]["encoder_cache"]["passes_not_done"], 400)
        not_done = made["freezing"]["encoder_flops_not_done"]["value"]
        self.assertAlmostEqual(made["phases"]["train"]["flops"]["value"] + not_done,
                               plain["phases"]["train"]["flops"]["value"], delta=1)
        self.assertAlmostEqual(2 * made["phases"]["load"]["flops"]["value"], not_done, delta=1)  # two epochs

    def test_a_resume_with_kept_outputs_gives_the_same_bits(self):
        overrides = [*LONG, *FROZEN, "train.cache_encoder=true"]
        whole, stopped = self.root / "kept_whole", self.root / "kept_stopped"
        cache = [f"data.cache={self.root / name}" for name in ("kept_cache", "other_kept_cache")]
        self.assertEqual(run("train", SMOKE, f"run.output={whole}", *overrides, cache[0]).returncode, 0)
        process = self.start(stopped, *FROZEN, "train.cache_encoder=true", cache[1])
        self.wait_for(stopped / "checkpoints/step-100/DONE", process)
        process.kill()
        process.communicate(timeout=120)
        shutil.rmtree(self.root / "other_kept_cache")
        resumed = run("train", SMOKE, f"run.output={stopped}", *overrides, cache[1])
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertEqual(losses(stopped), losses(whole))
        self.assertEqual((stopped / "model/model.safetensors").read_bytes(),
                         (whole / "model/model.safetensors").read_bytes())

    def test_an_encoder_whose_outputs_change_is_not_kept(self):
        for overrides, key in (([], "model.freeze=encoder"), (["model.freeze=encoder.layers.0-1"], "model.freeze=encoder"),
                               (["model.freeze=encoder", "model.dropout=0.1"], "model.encoder_dropout=false"),
                               (FROZEN, "data.cache")):
            cache = "" if key == "data.cache" else self.root / "not_kept_cache"
            result = run("train", SMOKE, f"run.output={self.root / 'not_kept'}", "train.cache_encoder=true",
                         "run.resume=never", "run.overwrite=true", f"data.cache={cache}", *overrides)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertRegex(result.stderr, f"train.cache_encoder.*{key}")
        result = run("check", SMOKE, "train.cache_encoder=true", f"data.cache={self.root}")
        self.assertEqual(result.returncode, 2)
        self.assertIn("model.freeze=encoder", result.stderr)

    def test_evaluate_says_first_which_weights_it_scores_and_repeats_the_scores(self):
        result = run("evaluate", self.done, "run.output=" + str(self.root / "evaluated"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines()[0], f"weights: {self.done}/model")
        self.assertEqual(json.loads((self.root / "evaluated/predict_results.json").read_text())["predict_rouge1"],
                         json.loads((self.done / "predict_results.json").read_text())["predict_rouge1"])
        self.assertEqual((self.root / "evaluated/predictions.jsonl").read_bytes(),
                         (self.done / "predictions.jsonl").read_bytes())
        again = run("evaluate", self.done, "run.output=" + str(self.root / "evaluated"))
        self.assertEqual(again.returncode, 2)
        validation = run("evaluate", self.done, "--split", "validation", "run.output=" + str(self.root / "validated"))
        self.assertEqual(validation.returncode, 0, validation.stderr)
        self.assertIn("eval_rouge1", json.loads((self.root / "validated/eval_results.json").read_text()))

    def test_summarize_keeps_order_and_ids_and_equals_the_test_predictions(self):
        result = run("summarize", "--model", self.done, "--input", "tests/fixtures/smoke/test.jsonl",
                     "data.max_source_tokens=64")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        expected = read_lines(self.done / "predictions.jsonl")
        self.assertEqual([row["token_ids"] for row in rows], [row["token_ids"] for row in expected])
        self.assertEqual(list(rows[0]), ["id", "summary", "score", "token_ids"])

    def test_summarize_reads_lines_documents_and_writes_text(self):
        lines = run("summarize", "--model", self.done, "--output-format", "text", text="One line.\n\nAnother line.\n")
        self.assertEqual(lines.returncode, 0, lines.stderr)
        self.assertEqual(len(lines.stdout.splitlines()), 3)
        self.assertEqual(lines.stdout.splitlines()[1], "")
        self.assertIn("--input-format document", lines.stderr)
        whole = run("summarize", "--model", self.done, "--input-format", "document", text="One line.\n\nAnother.\n")
        self.assertEqual(len(whole.stdout.splitlines()), 1)
        self.assertNotIn("--input-format document", whole.stderr)
        target = self.root / "summaries.txt"
        to_file = run("summarize", "--model", self.done, "--output", target, text="One line.\n")
        self.assertEqual(to_file.returncode, 0, to_file.stderr)
        self.assertEqual(len(target.read_text().splitlines()), 1)

    def test_a_model_that_is_not_there_is_answered_with_the_download_command(self):
        result = run("summarize", "--model", "facebook/bart-large-cnn", text="x\n",
                     env={"HF_HOME": str(self.root / "empty"), "HF_HUB_CACHE": str(self.root / "empty")})
        self.assertEqual(result.returncode, 2)
        self.assertIn("hf download facebook/bart-large-cnn", result.stderr)

    def test_foreign_flags_are_answered_with_our_line(self):
        result = run("train", SMOKE, "--per_device_train_batch_size", "16")
        self.assertEqual(result.returncode, 2)
        self.assertIn("train.batch_size=16", result.stderr)

    def test_a_rank_that_is_not_told_which_it_is_is_refused(self):
        result = run("train", SMOKE, f"run.output={self.root / 'ranks'}", env={"WORLD_SIZE": "2"})
        self.assertEqual(result.returncode, 2)
        self.assertIn("WORLD_SIZE", result.stderr)

    def test_a_run_that_failed_before_its_first_save_can_be_corrected_in_place(self):
        folder = self.root / "corrected"
        self.assertEqual(run("train", SMOKE, f"run.output={folder}", "data.train=nothing.jsonl").returncode, 3)
        result = run("train", SMOKE, f"run.output={folder}", "train.epochs=1")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_an_evaluation_never_writes_into_a_training(self):
        result = run("evaluate", self.done, f"run.output={self.done}", "run.overwrite=true")
        self.assertEqual(result.returncode, 2)
        self.assertIn("holds a training", result.stderr)

    def test_bf16_trains_and_leaves_a_bf16_model(self):
        folder = self.root / "bf16"
        result = run("train", SMOKE, f"run.output={folder}", "train.precision=bf16")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads((folder / "model/config.json").read_text())["dtype"], "bfloat16")
        self.assertLess(losses(folder)[-1][1], losses(folder)[0][1] / 2)
        self.assertAlmostEqual(losses(folder)[0][1], losses(self.done)[0][1], delta=0.05)

    def test_shares_of_the_training_data_are_validation_and_test(self):
        folder = self.root / "shares"
        result = run("train", SMOKE, f"run.output={folder}", "data.validation=[]", "data.test=[]",
                     "data.validation_share=0.25", "data.test_share=0.25", "train.max_updates=4", "generation.beams=1")
        self.assertEqual(result.returncode, 0, result.stderr)
        data = json.loads((folder / "report.json").read_text())["data"]
        whole = json.loads((self.done / "report.json").read_text())["data"]["splits"][0]["rows_read"]
        rows = {split["name"]: split["rows_read"] for split in data["splits"]}
        self.assertEqual(list(rows), ["train", "validation", "test"])
        self.assertEqual(sum(rows.values()), whole)
        self.assertTrue(all(count > whole / 8 for count in rows.values()), rows)
        self.assertEqual([leak["examples"] for leak in data["leaks"]], [0, 0, 0])
        again = run("evaluate", folder, "--split", "test", f"run.output={self.root / 'shares_test'}")
        self.assertEqual(again.returncode, 0, again.stderr)
        found = [row["id"] for row in read_lines(self.root / "shares_test/predictions.jsonl")]
        self.assertEqual(found, [row["id"] for row in read_lines(folder / "predictions.jsonl")])

    def test_a_missing_data_file_is_a_data_error_that_names_it(self):
        result = run("train", SMOKE, f"run.output={self.root / 'nodata'}", "data.train=nothing.jsonl")
        self.assertEqual(result.returncode, 3)
        self.assertIn("nothing.jsonl", result.stderr)


if __name__ == "__main__":
    unittest.main()
