"""A real training on the GPU: BART-base's shape from nothing on the Debian synopses (scripts/data/debian_synopses.sh).

usage: gpu_finetune.py TXTSUM DATA FOLDER [--epochs N] [key=value ...]
Prints the learning curve, ROUGE of the test split, seconds and joules; joules are read from NVML around the process too.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import pynvml
from gpu_inputs import BART_BASE, settings, write_model_folder


def energy_joules():
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(0)) / 1000.0


def training_settings(arguments, run):
    data = arguments.data.resolve()
    chosen = {
        "run.output": run,
        "run.overwrite": "true",
        "run.resume": "never",
        "run.device": "cuda",
        "model.checkpoint": arguments.folder / "bart-base",
        "model.init": "random",
        "data.train": data / "train.jsonl",
        "data.validation": data / "validation.jsonl",
        "data.test": data / "test.jsonl",
        "data.source_column": "document",
        "data.summary_column": "summary",
        "data.max_source_tokens": 256,
        "data.max_target_tokens": 48,
        "data.max_test_examples": 1000,
        "data.cache": '""',
        "train.epochs": arguments.epochs,
        "train.batch_size": 64,
        "train.precision": "bf16",
        "train.log_every_updates": 100,
        "optimizer.learning_rate": "4e-4",
        "optimizer.weight_decay": 0.01,
        "schedule.name": "linear",
        "schedule.warmup_share": 0.1,
        "validation.every_epochs": 1,
        "validation.max_generated_examples": 200,
        "checkpoint.every_epochs": arguments.epochs,
        "checkpoint.optimizer_state": "false",
        "generation.beams": 4,
        "generation.max_new_tokens": 47,
        "generation.no_repeat_ngram": 3,
        "generation.early_stopping": "true",
        "report.mlflow": "false",
    }
    return settings(chosen, arguments.settings)


def print_curve(run):
    print("| update | epoch | training loss | validation loss | R-1 / R-2 / R-L (200 generated) |\n|---|---|---|---|---|")
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    shown = [line for line in lines if line["event"] == "update"]
    every = max(1, len(shown) // 12)
    for index, line in enumerate(shown):
        if index % every == 0:
            print(f"| {line['update']} | {line['epoch']:.2f} | {line['loss']:.3f} | | |")
    for line in lines:
        if line["event"] == "validation":
            rouge = " / ".join(f"{line.get(name, 0):.2f}" for name in ("rouge1", "rouge2", "rougeL"))
            print(f"| {line['update']} | {line['epoch']:.2f} | | {line['loss']:.3f} | {rouge} |")


def print_report(run, joules):
    report = json.loads((run / "report.json").read_text())
    test = report["quality"]["test"]
    print("test:", {name: test[name] for name in ("rouge1", "rouge2", "rougeL", "pairs")})
    parts = {name: phase["energy_kwh"]["gpu"]["value"] or 0.0 for name, phase in report["phases"].items()}
    whole = report["total"]["energy_kwh"]["gpu"]["value"]
    seconds = {name: round(phase["seconds"], 1) for name, phase in report["phases"].items()}
    print("seconds by phase:", seconds, "in all", round(report["total"]["seconds"], 1))
    print("GPU joules by phase:", {name: round(value * 3.6e6) for name, value in parts.items()})
    print(f"phases / whole: {sum(parts.values()) / whole:.4f}; whole / NVML around the process: {whole * 3.6e6 / joules:.4f}")
    print("training:", report["phases"]["train"]["rates"])
    print("GPU:", report["gpu_work"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    pynvml.nvmlInit()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_model_folder(arguments.folder / "bart-base", BART_BASE)
    config, run = arguments.folder / "empty.yaml", arguments.folder / "run-debian"
    config.write_text("{}\n")
    before = energy_joules()
    result = subprocess.run(
        [arguments.program, "train", str(config), *training_settings(arguments, run)], capture_output=True, text=True
    )
    joules = energy_joules() - before
    if result.returncode != 0:
        sys.exit(result.stderr[-3000:])
    print_curve(run)
    print_report(run, joules)


if __name__ == "__main__":
    main()
