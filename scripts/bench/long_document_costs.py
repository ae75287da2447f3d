"""What long documents cost on one GPU: the papers of scripts/data/aclsum.sh, cut at 1,024 tokens, or read whole with sparse attention.

usage: long_document_costs.py TXTSUM DATA FOLDER [--tokenizer FOLDER] [--epochs N] [--only NAME] [key=value ...]
  --tokenizer   a folder with BART's tokenizer files; without it the embedded model's tokenizer counts, which makes more tokens
  --only        the ways whose name has this in it
Weights are random and of the published sizes: time, energy and memory do not depend on them; scores would. Prints a table.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

from gpu_inputs import BART_LARGE, BIGBIRD_LARGE, LED_LARGE, settings, write_model_folder

# name: shape, source tokens
WAYS = {
    "BART-large, cut at 1,024": ("bart-large", BART_LARGE, 1024),
    "BigBird-Pegasus-large, cut at 4,096": ("bigbird-pegasus-large", BIGBIRD_LARGE, 4096),
    "LED-large, cut at 4,096": ("led-large", LED_LARGE, 4096),
    "LED-large, whole papers (16,384)": ("led-large", LED_LARGE, 16384),
}


def run_way(arguments, name, source_tokens):
    run = arguments.folder / f"run-{name}-{source_tokens}"
    chosen = {
        "run.output": run,
        "run.overwrite": "true",
        "run.resume": "never",
        "run.device": "cuda",
        "model.checkpoint": arguments.folder / name,
        "model.init": "random",
        "data.train": arguments.data.resolve() / "train.jsonl",
        "data.source_column": "document",
        "data.summary_column": "summary",
        "data.max_source_tokens": source_tokens,
        "data.max_target_tokens": 256,
        "data.cache": '""',
        "train.epochs": arguments.epochs,
        "train.batch_size": 4,
        "train.micro_batch_tokens": 70000,
        "train.precision": "bf16",
        "checkpoint.optimizer_state": "false",
        "report.mlflow": "false",
    }
    config = arguments.folder / "empty.yaml"
    config.write_text("{}\n")
    command = [arguments.program, "train", str(config), *settings(chosen, arguments.settings)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr[-3000:])
    return json.loads((run / "report.json").read_text())


def row(name, report, epochs):
    tokens = report["data"]["splits"][0]["source_tokens"]
    train = report["phases"]["train"]
    seen = 1 - tokens["truncated_tokens"] / tokens["tokens"]
    joules = train["energy_kwh"]["gpu"]["value"] * 3.6e6
    examples = report["data"]["splits"][0]["examples"]
    peak = train["peak_device_memory_bytes"]["value"] / 2**30
    return (
        f"| {name} | {100 * seen:.0f} % | {tokens['mean']:,.0f} | {train['seconds'] / epochs:.2f} | "
        f"{joules / epochs / examples:.1f} | {peak:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| | of the text seen | tokens a paper | seconds an epoch | J a paper | peak GiB |\n|---|---|---|---|---|---|")
    for name, (folder, shape, source_tokens) in WAYS.items():
        if arguments.only not in name:
            continue
        write_model_folder(arguments.folder / folder, shape)
        for file in arguments.tokenizer.iterdir() if arguments.tokenizer else ():
            if file.name != "config.json":
                shutil.copy(file, arguments.folder / folder / file.name)
        print(row(name, run_way(arguments, folder, source_tokens), arguments.epochs), flush=True)


if __name__ == "__main__":
    main()
