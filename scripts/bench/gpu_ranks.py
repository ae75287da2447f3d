"""How BART-large's training scales over the GPUs of one machine, by stage of parallel.zero_stage; random weights and pairs.

usage: gpu_ranks.py TXTSUM FOLDER [--ranks 1,2] [--stages 0,1,2,3] [--parts samsum64,long16] [--updates N] [key=value ...]
Each rank has as many examples an update as the part's name says. Prints a table: samples/s of all ranks, how many times
those of one rank in stage 0, peak memory of rank 0's allocator, the last loss, and how many updates had, bit for bit, the
loss and the gradient norm of the first stage on as many ranks: all of them with train.deterministic=true.
"""

import argparse
import json
import pathlib
import shutil
import subprocess

from gpu_inputs import FIXED, settings, shape_of, workload, write_model_folder, write_pairs

# name: workload, examples an update and rank
PARTS = {"samsum64": ("samsum", 64), "long16": ("long", 16)}
WARM_SHARE = 0.4  # of the updates, not timed


def train(arguments, name, ranks, stage):
    part, batch = PARTS[name]
    run = arguments.folder / f"run-{name}-{ranks}-{stage}"
    shutil.rmtree(run, ignore_errors=True)
    chosen = {
        "run.output": run,
        "run.resume": "never",
        "run.device": "cuda",
        "model.checkpoint": arguments.folder / shape_of(part)[0],
        "model.init": "random",
        "data.train": arguments.folder / f"{part}.jsonl",
        "data.max_source_tokens": max(1024, FIXED.get(part, (0,))[0]),
        "data.max_target_tokens": 256,
        "data.cache": '""',
        "train.max_updates": arguments.updates,
        "train.batch_size": batch * ranks,
        "train.micro_batch_tokens": 70000,
        "train.precision": "bf16",
        "train.log_every_updates": 5,
        "optimizer.learning_rate": "5e-5",
        "optimizer.weight_decay": 0.01,
        "schedule.warmup_updates": 10,
        "checkpoint.optimizer_state": "false",
        "report.mlflow": "false",
        "parallel.zero_stage": stage,
    }
    config = arguments.folder / "empty.yaml"
    config.write_text("{}\n")
    command = [arguments.program, "launch", "--processes", str(ranks), "--", "train", str(config)]
    done = subprocess.run([*command, *settings(chosen, arguments.settings)], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": (done.stderr or done.stdout)[-600:]}
    updates = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    updates = [line for line in updates if line["event"] == "update"]
    timed = [line for line in updates if line["update"] > WARM_SHARE * arguments.updates]
    report = json.loads((run / "report.json").read_text())
    peaks = [phase["peak_device_memory_bytes"].get("value") for phase in report["phases"].values()]
    shutil.rmtree(run, ignore_errors=True)
    return {
        "samples_per_s": sum(line["examples"] for line in timed) / sum(line["seconds"] for line in timed),
        "peak_gib": max(value for value in peaks if value) / 2**30,
        "numbers": [(line["loss"], line["gradient_norm"]) for line in updates],
        "graphs": [line for line in (done.stdout + done.stderr).splitlines() if "captured as graphs" in line][:1],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--stages", default="0,1,2,3")
    parser.add_argument("--parts", default="samsum64")
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| part | ranks | stage | samples/s | times one rank | peak GiB | last loss | equal updates |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.parts.split(","):
        part = PARTS[name][0]
        folder, shape = shape_of(part)
        write_model_folder(arguments.folder / folder, shape)
        write_pairs(arguments.folder / f"{part}.jsonl", workload(part))
        alone = None
        for ranks in map(int, arguments.ranks.split(",")):
            first = None
            for stage in map(int, arguments.stages.split(",")):
                found = train(arguments, name, ranks, stage)
                if "error" in found:
                    print(f"| {name} | {ranks} | {stage} | failed | | | | |\n{found['error']}", flush=True)
                    continue
                alone = alone or found["samples_per_s"]
                times = found["samples_per_s"] / alone
                first = first or found["numbers"]
                equal = sum(one == other for one, other in zip(first, found["numbers"]))
                print(f"| {name} | {ranks} | {stage} | {found['samples_per_s']:.1f} | {times:.2f} | "
                      f"{found['peak_gib']:.2f} | {found['numbers'][-1][0]:.6f} | {equal} of {len(first)} |", flush=True)
                print("  " + " ".join(found["graphs"]), flush=True)


if __name__ == "__main__":
    main()
