"""The driver behind scripts/bench/gpu.sh: runs transformers and txtsum in turn on one GPU and prints a table."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

from gpu_inputs import (
    CURVE,
    FIXED,
    GENERATED,
    LONG_GENERATED,
    LONG_NEW_TOKENS,
    samsum_lengths,
    settings,
    shape_of,
    workload,
    write_model_folder,
    write_pairs,
)
from gpu_parts import print_parts
from gpu_training import Training, energy_joules, timed_training

HERE = pathlib.Path(__file__).resolve().parent
# name: workload, examples an update, updates of the peer, updates of txtsum, updates before the clock starts (each)
TRAINING = {
    "samsum16": ("samsum", 16, 70, 700, 10, 300),
    "samsum64": ("samsum", 64, 35, 300, 10, 120),
    "samsum128": ("samsum", 128, 28, 160, 8, 60),
    "long16": ("long", 16, 35, 70, 10, 15),
    "led4096": ("led4096", 4, 14, 60, 4, 15),
    "led16384": ("led16384", 1, 9, 60, 3, 15),
    "t5samsum64": ("t5", 64, 35, 300, 10, 120),
    "bigbird4096": ("bigbird4096", 4, 14, 60, 4, 15),
}
# LED's shape by length: 32,768 tokens an update, or one document.
TRAINING |= {f"curve{tokens}": (f"curve{tokens}", max(1, 32768 // tokens), 0, 40, 0, 15) for tokens in CURVE}


class Peer:
    """transformers in a process of its own."""

    def __init__(self):
        command = [sys.executable, str(HERE / "gpu_peer.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *arguments):
        self.process.stdin.write(" ".join(map(str, arguments)) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith('{"samples_per_s"'):
                return json.loads(line)
        raise SystemExit("transformers' process ended")


def run_txtsum_training(program, folder, name, extra, updates=None):
    part, batch, _, standard_updates, _, warm = TRAINING[name]
    return timed_training([program], folder, Training(part, batch, updates or standard_updates, warm), name, extra)


SHORT = {
    "data.max_source_tokens": 1024,
    "generation.beams": 6,
    "generation.max_new_tokens": 61,
    "generation.min_new_tokens": 10,
    "generation.no_repeat_ngram": 3,
    "generation.slots": 128,
}
LONG = {
    "data.max_source_tokens": 4096,
    "generation.beams": 4,
    "generation.max_new_tokens": LONG_NEW_TOKENS,
    "generation.min_new_tokens": LONG_NEW_TOKENS,
    "generation.no_repeat_ngram": 0,
    "generation.slots": LONG_GENERATED,
}


def summarize(program, folder, weights, chosen, documents, extra):
    """Summarizes; seconds by the program's own log, energy from readings of the counter that lie around them."""
    log_path = folder / "generate.log"
    arguments = {
        "run.device": "cuda",
        "train.precision": "bf16",
        "generation.length_penalty": 1.0,
        "generation.early_stopping": "true",
        **chosen,
    }
    files = ["--input", str(folder / "generate.jsonl"), "--output", str(folder / "summaries.jsonl")]
    command = [program, "summarize", "--model", str(weights), *files, *settings(arguments, extra)]
    readings = []
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        done = None
        while process.poll() is None:
            readings.append((time.time(), energy_joules()))
            if done is None and " documents/s" in log_path.read_text():
                done = readings[-1][0]
            time.sleep(0.005)
    text = log_path.read_text()
    if process.returncode != 0:
        raise SystemExit(text[-3000:])
    line = [line for line in text.splitlines() if " documents/s" in line][-1]
    seconds = float(line.split(" s, ")[0].split()[-1])
    before = [joules for moment, joules in readings if moment <= done - seconds][-1]
    at_end = [joules for moment, joules in readings if moment >= done][0]
    return {
        "samples_per_s": documents / seconds,
        "joule_per_sample": (at_end - before) / documents,
        "peak_gib": None,
        "note": line,
    }


def run_txtsum_generation(program, folder, extra):
    write_pairs(folder / "generate.jsonl", samsum_lengths()[-GENERATED:])
    weights = folder / "run-samsum16" / "model"
    if not weights.exists():
        run_txtsum_training(program, folder, "samsum16", [], updates=5)
    return summarize(program, folder, weights, SHORT, GENERATED, extra)


def run_txtsum_long_generation(program, folder, extra):
    write_pairs(folder / "generate.jsonl", [FIXED["led4096"]] * LONG_GENERATED)
    weights = folder / "run-led4096" / "model"
    if not weights.exists():
        run_txtsum_training(program, folder, "led4096", [], updates=5)
    return summarize(program, folder, weights, LONG, LONG_GENERATED, extra)


GENERATION = {"generate": (run_txtsum_generation, 64), "ledgenerate": (run_txtsum_long_generation, 8)}


KEYS = ("samples_per_s", "joule_per_sample", "peak_gib")


def row(name, who, result, work=None, peer=None):
    """`work` has the FLOPs of a sample (of the model, without padding) and the GPU's peak."""
    cells = [name, who] + [f"{result[key]:.2f}" if result[key] else "-" for key in KEYS]
    share = f"{100 * result['samples_per_s'] * work['flops_per_sample'] / work['peak_flops']:.1f} %" if work else "-"
    cells += [share] + [f"{result[key] / peer[key]:.2f}" if peer and result[key] and peer[key] else "" for key in KEYS]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--parts", default="samsum16,samsum64,samsum128,long16,generate")
    parser.add_argument("--only", choices=("peer", "txtsum"))
    parser.add_argument("--breakdown", choices=TRAINING, help="trace this part and print where its time goes")
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    transformers = Peer() if arguments.only != "txtsum" else None
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wanted = [*filter(None, arguments.parts.split(",")), arguments.breakdown]
    parts = {TRAINING[name][0] for name in wanted if name in TRAINING} | {"samsum"}
    for part in parts | ({"led4096"} if "ledgenerate" in wanted else set()):
        folder, shape = shape_of(part)
        write_model_folder(arguments.folder / folder, shape)
        write_pairs(arguments.folder / f"{part}.jsonl", workload(part))
    print("| part | who | samples/s | J/sample | peak GiB | of peak FLOP/s | times as fast | energy | memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in filter(None, arguments.parts.split(",")):
        peer = None
        if transformers is not None:
            if name in GENERATION:
                peer = transformers.ask(name, GENERATION[name][1])
            else:
                part, batch, updates, _, warm, _ = TRAINING[name]
                peer = transformers.ask("train", part, batch, updates, warm)
        if arguments.only == "peer":
            print(row(name, "transformers", peer), flush=True)
            continue
        if name in GENERATION:
            result = GENERATION[name][0](arguments.program, arguments.folder, arguments.settings)
        else:
            result = run_txtsum_training(arguments.program, arguments.folder, name, arguments.settings)
        work = result if "flops_per_sample" in result else None
        if peer:
            print(row(name, "transformers", peer, work), flush=True)
        print(row(name, "txtsum", result, work, peer), flush=True)
        if result["note"]:
            print("  " + result["note"], flush=True)
    if arguments.breakdown:
        run = arguments.folder / f"run-{arguments.breakdown}"
        # Late, when most shapes have been captured.
        traced = ["report.trace_updates=12", f"report.trace_from={TRAINING[arguments.breakdown][3] - 20}"]
        run_txtsum_training(arguments.program, arguments.folder, arguments.breakdown, traced + arguments.settings)
        print(f"\nAn update of {arguments.breakdown}:")
        print_parts(run / "trace.json")


if __name__ == "__main__":
    main()
