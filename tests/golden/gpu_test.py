"""Trainings on a GPU through the binary: against the CPU, against themselves, stopped and resumed, out of memory.

usage: gpu_test.py REPOSITORY PROGRAM
Ends with 77, and says why, where the program sees no GPU.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SMOKE = "configs/smoke/tiny_bart.yaml"
NO_GPU = 77
UPDATES = 60
# Losses alone: no validation, one save, every update logged, no test split.
PLAIN = {
    "run.device": "cuda", "train.max_updates": UPDATES, "train.epochs": 1000, "train.log_every_updates": 1,
    "validation.loss": "false", "validation.generate": "false", "checkpoint.best_metric": "none",
    "checkpoint.every_updates": 1000000, "test.generate": "false",
}
FP32_TOLERANCE = 2e-5  # measured 2e-6
BF16_TOLERANCE = 3e-2
FP16_TOLERANCE = 1e-2


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    return {**kept, **more}


def run(*arguments, **env):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        env=environment(**env),
    )


def training(folder, *changed):
    """Arguments of a plain training with some settings changed."""
    chosen = {**PLAIN, "run.output": folder, **dict(text.split("=", 1) for text in changed)}
    return ["train", SMOKE, *(f"{key}={value}" for key, value in chosen.items())]


def updates_of(folder):
    # A line without its end is being written.
    lines = (folder / "steps.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return [row for row in map(json.loads, lines) if row["event"] == "update"]


def series(folder):
    return [(row["update"], row["loss"], row["gradient_norm"]) for row in updates_of(folder)]


class GpuTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-gpu-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)

    def train(self, name, *settings, **env):
        folder = self.root / name
        result = run(*training(folder, *settings), **env)
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        return folder

    def assert_near(self, ours, wanted, tolerance):
        self.assertEqual(len(ours), UPDATES)
        worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(ours, wanted, strict=True))
        self.assertLess(worst, tolerance)
        print(f"{self.id().split('.')[-1]}: losses within {worst:.1e}", file=sys.stderr)

    def test_fp32_losses_are_those_of_the_cpu(self):
        on_cpu = self.train("cpu", "run.device=cpu")
        self.assert_near(updates_of(self.train("fp32")), updates_of(on_cpu), FP32_TOLERANCE)
        # In pieces, with recomputation: the same training.
        pieces = self.train("pieces", "train.micro_batch_tokens=200", "train.recompute=blocks")
        self.assert_near(updates_of(pieces), updates_of(on_cpu), FP32_TOLERANCE)

    def test_narrow_types_follow_fp32(self):
        wide = updates_of(self.train("wide"))
        for precision, tolerance in (("bf16", BF16_TOLERANCE), ("fp16", FP16_TOLERANCE)):
            with self.subTest(precision):
                narrow = updates_of(self.train(precision, f"train.precision={precision}"))
                self.assert_near(narrow, wide, tolerance)
        self.assertEqual(narrow[0]["loss_scale"], 65536)

    def test_graphs_and_recomputation_change_no_bit(self):
        for precision in ("fp32", "bf16", "fp16"):
            with self.subTest(precision):
                settings = [f"train.precision={precision}", "train.deterministic=true"]
                graphs = series(self.train(f"graphs-{precision}", *settings))
                self.assertEqual(graphs, series(self.train(f"eager-{precision}", "train.max_graphs=0", *settings)))
                again = self.train(f"recompute-{precision}", "train.recompute=blocks", *settings)
                self.assertEqual(graphs, series(again))

    def test_outputs_of_a_frozen_encoder_are_read_as_if_it_ran(self):
        for precision, tolerance in (("fp32", FP32_TOLERANCE), ("bf16", BF16_TOLERANCE), ("fp16", FP16_TOLERANCE)):
            with self.subTest(precision):
                frozen = [f"train.precision={precision}", "train.deterministic=true", "model.freeze=encoder",
                          "model.dropout=0.1", "model.encoder_dropout=false"]
                keeps = [*frozen, "train.cache_encoder=true", f"data.cache={self.root / 'cache'}"]
                runs = self.train(f"encoder-runs-{precision}", *frozen)
                reads = self.train(f"encoder-read-{precision}", *keeps)
                self.assert_near(updates_of(reads), updates_of(runs), tolerance)
                self.assertEqual(series(reads), series(self.train(f"encoder-eager-{precision}", "train.max_graphs=0", *keeps)))
                report = json.loads((reads / "report.json").read_text())
                self.assertEqual(report["freezing"]["encoder_cache"]["encoded_examples"], 200)
                self.assertGreater(report["gpu_work"]["graphs"], 0)

    def stop(self, name, *settings):
        """A training that gets SIGTERM in the middle; its folder."""
        folder = self.root / name
        process = subprocess.Popen(
            [PROGRAM, *training(folder, *settings)], cwd=REPOSITORY, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment(),
        )
        deadline = time.monotonic() + 120
        while not (folder / "steps.jsonl").exists() or len(updates_of(folder)) < 30:
            self.assertIsNone(process.poll(), "it ended too early")
            self.assertLess(time.monotonic(), deadline)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 143)
        return folder

    def test_a_stopped_training_goes_on_with_the_same_bits(self):
        settings = ["train.precision=fp16", "train.deterministic=true", "train.max_updates=1500",
                    "model.attention_dropout=0.1"]
        whole = series(self.train("whole", *settings))
        folder = self.stop("stopped", *settings)
        self.assertLess(len(updates_of(folder)), 1500)
        self.assertEqual(run(*training(folder, *settings)).returncode, 0)
        self.assertEqual(series(folder), whole)

    def test_offload_trains_alike(self):
        for precision, tolerance in (("fp32", FP32_TOLERANCE), ("bf16", BF16_TOLERANCE), ("fp16", FP16_TOLERANCE)):
            with self.subTest(precision):
                settings = [f"train.precision={precision}", "train.deterministic=true"]
                plain = updates_of(self.train(f"plain-{precision}", *settings))
                states = self.train(f"states-{precision}", "parallel.offload=optimizer", *settings)
                self.assert_near(updates_of(states), plain, tolerance)
                weights = self.train(f"weights-{precision}", "parallel.offload=optimizer_and_parameters",
                                     "parallel.zero_stage=3", *settings)
                self.assert_near(updates_of(weights), plain, tolerance)

    def test_an_offloaded_update_along_with_the_backward_pass_has_the_bits_of_one_behind_it(self):
        spreads = {
            "states": ["parallel.offload=optimizer"],
            "states-3": ["parallel.offload=optimizer", "parallel.zero_stage=3"],
            "weights": ["parallel.offload=optimizer_and_parameters", "parallel.zero_stage=3"],
        }
        for name, settings in spreads.items():
            for ranks in (1, 2):  # two share the GPU, or have one each
                with self.subTest(name, ranks=ranks):
                    found = [self.clipped(f"{name}-{ranks}", ranks, norm, *settings) for norm in (1e30, 0)]
                    self.assertEqual(found[0], found[1])

    def clipped(self, name, ranks, norm, *settings):
        folder = self.root / f"{name}-{norm}"
        result = run("launch", "--processes", ranks, "--", *training(
            folder, "train.precision=bf16", "train.deterministic=true", f"train.clip_norm={norm}", *settings))
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        self.assertEqual(len(updates_of(folder)), UPDATES)
        return series(folder)

    def test_another_offload_goes_on_with_the_same_bits(self):
        settings = ["train.precision=bf16", "train.deterministic=true", "train.max_updates=1500", "parallel.zero_stage=3"]
        whole = series(self.train("states", "parallel.offload=optimizer", *settings))
        folder = self.stop("weights", "parallel.offload=optimizer_and_parameters", *settings)
        self.assertLess(len(updates_of(folder)), 1500)
        self.assertEqual(run(*training(folder, "parallel.offload=optimizer", *settings)).returncode, 0)
        self.assertEqual(series(folder), whole)

    def test_the_report_says_how_the_gpu_was_used_and_what_it_took(self):
        report = json.loads((self.train("report", "train.max_updates=3000") / "report.json").read_text())
        work = report["gpu_work"]
        self.assertEqual(work["replays"] + work["eager_runs"], 3000)
        self.assertGreater(work["graphs"], 0)
        self.assertGreater(work["share_of_tokens_that_fill_up"], 0)
        self.assertLess(work["share_waited"], 1)
        phases = report["phases"].values()
        whole = report["total"]["energy_kwh"]["gpu"]
        self.assertEqual(whole["tag"], "measured", whole)
        self.assertIn("NVML", whole["source"])
        self.assertEqual(report["idle_watts"]["gpu"]["tag"], "measured", report["idle_watts"])
        self.assertGreater(report["phases"]["train"]["peak_watts"]["value"], report["idle_watts"]["gpu"]["value"])
        self.assertEqual(len(report["attempts"][0]["sharing"]), 1)
        parts = sum(phase["energy_kwh"]["gpu"]["value"] or 0 for phase in phases)
        self.assertAlmostEqual(parts / whole["value"], 1, delta=0.02)
        self.assertAlmostEqual(sum(phase["seconds"] for phase in phases) / report["total"]["seconds"], 1, delta=0.02)

    def test_info_says_that_the_driver_fits_and_what_is_fused(self):
        found = json.loads(run("info", "--json").stdout)
        self.assertEqual(found["driver"]["state"].split(",")[0], "fits", found["driver"])
        self.assertEqual(found["gpus"][0]["code"], "there")
        flash = "FlashAttention-2" in str(found["gpus"][0]["fused"])
        self.assertEqual(flash, float(found["gpus"][0]["capability"]) >= 8)

    def test_no_gpu_to_see_ends_before_anything_is_read(self):
        arguments = training(self.root / "blind", "data.train=no/such/file.jsonl", "model.checkpoint=no/such/model")
        result = run(*arguments, CUDA_VISIBLE_DEVICES="")
        self.assertEqual(result.returncode, 71, result.stderr[-2000:])
        self.assertIn("CUDA_VISIBLE_DEVICES", result.stderr)

    def test_out_of_memory_says_what_was_asked_and_what_helps(self):
        # The GPU's memory is made small for this process: 80 MiB of 80 GiB.
        result = run(
            *training(self.root / "memory", "train.batch_size=200", "train.micro_batch_tokens=1000000"),
            PYTORCH_CUDA_ALLOC_CONF="per_process_memory_fraction:0.0005",
        )
        self.assertEqual(result.returncode, 71, result.stderr[-2000:])
        for text in ("out of GPU memory in update 1", "asked for", "states", "activations", "train.recompute=blocks",
                     "train.micro_batch_tokens="):
            self.assertIn(text, result.stderr)


def main():
    devices = run("info", "--json")
    if devices.returncode != 0 or not any("cuda" in device for device in json.loads(devices.stdout)["devices"]):
        print("skipped: the program sees no GPU")
        sys.exit(NO_GPU)
    unittest.main()


if __name__ == "__main__":
    main()
