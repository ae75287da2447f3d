"""How BART-large's training scales over the GPUs of one machine, by stage of parallel.zero_stage; random weights and pairs.

usage: gpu_ranks.py TXTSUM FOLDER [--ranks 1,2] [--variants 0,1,2,3,3+optimizer] [--parts samsum64,long16] [--updates N]
                    [--peer ddp,fsdp] [key=value ...]
  --variants   stages of parallel.zero_stage, `+` what parallel.offload is
  --peer       also time transformers' Seq2SeqTrainer under torchrun, on as many GPUs
Each rank has as many examples an update as the part's name says. Prints a table: samples/s of all ranks, how many times
those of the first row, joule a sample over all GPUs, peak memory of rank 0's allocator, the last loss, and how many
logged updates had, bit for bit, the loss and the gradient norm of the first variant on as many ranks: all of them with
train.deterministic=true, save where the update is a CPU's.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

from gpu_inputs import shape_of, workload, write_model_folder, write_pairs
from gpu_training import Training, timed_training

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {"samsum64": ("samsum", 64), "long16": ("long", 16)}  # name: workload, examples an update and rank
WARM_SHARE = 0.5  # of the updates, not timed
PEER_UPDATES = 40


def train(arguments, name, ranks, variant):
    part, batch = PARTS[name]
    stage, _, offload = variant.partition("+")
    extra = [f"parallel.zero_stage={stage}", *([f"parallel.offload={offload}"] if offload else []), *arguments.settings]
    training = Training(part, batch * ranks, arguments.updates, int(WARM_SHARE * arguments.updates))
    command = [arguments.program, "launch", "--processes", str(ranks), "--"]
    run = f"{name}-{ranks}-{variant}"
    found = timed_training(command, arguments.folder, training, run, extra, gpus=ranks)
    shutil.rmtree(arguments.folder / f"run-{run}", ignore_errors=True)
    if found is None:
        raise SystemExit("too few updates to be timed: --updates 20 or more")
    return found


def peer(name, ranks, how):
    part, batch = PARTS[name]
    warm = int(WARM_SHARE * PEER_UPDATES)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks), str(HERE / "gpu_ranks_peer.py")]
    done = subprocess.run([*command, part, str(batch), str(PEER_UPDATES), str(warm), how], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"samples_per_s"')]
    if done.returncode != 0 or not lines:
        raise SystemExit((done.stdout + done.stderr)[-3000:])
    return {**json.loads(lines[-1]), "numbers": [], "note": ""}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--variants", default="0,1,2,3")
    parser.add_argument("--parts", default="samsum64")
    parser.add_argument("--peer", default="")
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| part | ranks | variant | samples/s | times the first | J/sample | peak GiB | last loss | equal updates |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.parts.split(","):
        part = PARTS[name][0]
        folder, shape = shape_of(part)
        write_model_folder(arguments.folder / folder, shape)
        write_pairs(arguments.folder / f"{part}.jsonl", workload(part))
        alone = None
        for ranks in map(int, arguments.ranks.split(",")):
            first = None
            for variant in [*arguments.variants.split(","), *filter(None, arguments.peer.split(","))]:
                is_peer = not variant[0].isdigit()
                try:
                    found = peer(name, ranks, variant) if is_peer else train(arguments, name, ranks, variant)
                except SystemExit as problem:
                    print(f"| {name} | {ranks} | {variant} | failed | | | | | |\n{problem}", flush=True)
                    continue
                alone = alone or found["samples_per_s"]
                first = first or found["numbers"]
                equal = sum(one == other for one, other in zip(first, found["numbers"]))
                losses = f"{found['numbers'][-1][0]:.6f} | {equal} of {len(first)}" if found["numbers"] else "|"
                print(f"| {name} | {ranks} | {variant} | {found['samples_per_s']:.1f} | "
                      f"{found['samples_per_s'] / alone:.2f} | {found['joule_per_sample']:.3f} | {found['peak_gib']:.2f} | "
                      f"{losses} |", flush=True)
                if found["note"]:
                    print(f"  {found['watts'][0]:.0f} W by the counters, {found['watts'][1]:.0f} W by the meters, "
                          f"{found['wall_share']:.3f} s a second counted; {found['note']}", flush=True)


if __name__ == "__main__":
    main()
