"""How BART-large's training scales over the GPUs of one machine, by stage of parallel.zero_stage; random weights and pairs.

usage: gpu_ranks.py TXTSUM FOLDER [--ranks 1,2] [--variants 0,1,2,3,3+optimizer] [--parts samsum64,long16] [--updates N]
                    [--peer ddp,fsdp] [--beside] [--exposed] [key=value ...]
  --variants   stages of parallel.zero_stage; `+` what parallel.offload is; `:` a further setting
  --peer       also time transformers' Seq2SeqTrainer under torchrun, on as many GPUs
  --beside     also trainings of one rank, one on each GPU at the same time: what the GPUs do without exchange
  --exposed    also trace each variant, and say for how long of an update nothing but exchange ran
Each rank has as many examples an update as the part's name says. Prints a table: samples/s of all ranks, how many times
those of the first row, joule a sample over all GPUs, peak memory of rank 0's allocator and what `txtsum plan` says of
it, elements that rank 0 sent an update as a multiple of P(n-1)/n (P: trainable elements of n ranks), the share of the
time in which the GPU waited, the last loss, and how many logged updates had, bit for bit, the loss and the gradient
norm of the first variant on as many ranks: all of them with train.deterministic=true, save where the update is a CPU's.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys

from gpu_inputs import shape_of, workload, write_model_folder, write_pairs
from gpu_parts import parts_of
from gpu_training import Training, planned_peak_gib, timed_training

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {"samsum64": ("samsum", 64), "long16": ("long", 16)}  # name: workload, examples an update and rank
WARM_SHARE = 0.5  # of the updates, not timed
PEER_UPDATES = 40
TRACED = 10


def settings_of_variant(variant):
    base, _, further = variant.partition(":")
    stage, _, offload = base.partition("+")
    return [f"parallel.zero_stage={stage}", *([f"parallel.offload={offload}"] if offload else []), *filter(None, [further])]


def train(arguments, name, ranks, variant, extra=(), gpu=None):
    """`gpu`: a training of one rank, on that GPU."""
    part, batch = PARTS[name]
    chosen = [*settings_of_variant(variant), *arguments.settings, *extra]
    training = Training(part, batch * ranks, arguments.updates, int(WARM_SHARE * arguments.updates))
    alone = [] if gpu is None else ["env", f"CUDA_VISIBLE_DEVICES={gpu}"]
    command = [*alone, arguments.program, "launch", "--processes", str(ranks), "--"]
    run = f"{name}-{ranks}-{variant}-{gpu}".replace("/", "_")
    found = timed_training(command, arguments.folder, training, run, chosen, gpus=ranks)
    folder = arguments.folder / f"run-{run}"
    if (folder / "trace.json").exists():
        found["parts"] = parts_of(folder / "trace.json")
    shutil.rmtree(folder, ignore_errors=True)
    if found is None:
        raise SystemExit("too few updates to be timed: --updates 20 or more")
    if not extra:
        found["planned_gib"] = planned_peak_gib(arguments.program, arguments.folder, training, ranks, chosen)
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


def sent_multiple(work, updates):
    """Elements sent an update, as a multiple of P(n-1)/n."""
    sent = work["reduce_scatter_elements"] + work["all_gather_elements"]
    unit = sum(work["block_elements"]) * (work["world"] - 1) / work["world"]
    return f"{sent / updates / unit:.3f}" if unit else "0"


def print_row(arguments, name, ranks, variant, found, alone, first):
    cells = [name, ranks, variant, f"{found['samples_per_s']:.1f}", f"{found['samples_per_s'] / alone:.2f}",
             f"{found['joule_per_sample']:.3f}", f"{found['peak_gib']:.2f}"]
    if found["numbers"]:
        equal = sum(one == other for one, other in zip(first, found["numbers"]))
        cells += [f"{found['planned_gib']:.2f}", sent_multiple(found["rank_work"], arguments.updates),
                  f"{100 * found['gpu_work']['share_waited']:.1f} %", f"{found['numbers'][-1][0]:.6f}",
                  f"{equal} of {len(first)}"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    if found["note"]:
        print(f"  {found['watts'][0]:.0f} W by the counters, {found['watts'][1]:.0f} W by the meters, "
              f"{found['wall_share']:.3f} s a second counted; {found['note']}", flush=True)


def print_beside(arguments, name, ranks):
    with concurrent.futures.ThreadPoolExecutor(ranks) as pool:
        runs = [pool.submit(train, arguments, name, 1, "0", gpu=gpu) for gpu in range(ranks)]
        speeds = [run.result()["samples_per_s"] for run in runs]
    print(f"  {ranks} trainings of one rank beside each other: {sum(speeds):.1f} samples/s, "
          f"of each {', '.join(f'{speed:.1f}' for speed in speeds)}", flush=True)


def print_exposed(arguments, name, ranks, variant):
    traced = [f"report.trace_updates={TRACED}", f"report.trace_from={arguments.updates - TRACED - 2}"]
    milliseconds, _, _, whole = train(arguments, name, ranks, variant, extra=traced)["parts"]
    chosen = ("exchange between ranks", "exposed", "gaps", "AdamW", "matrix products", "attention")
    print(f"  traced, {whole:.2f} ms an update: " +
          ", ".join(f"{part} {milliseconds.get(part, 0.0):.2f} ms" for part in chosen), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--variants", default="0,1,2,3")
    parser.add_argument("--parts", default="samsum64")
    parser.add_argument("--peer", default="")
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--exposed", action="store_true")
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| part | ranks | variant | samples/s | times the first | J/sample | peak GiB | planned | sent, P(n-1)/n | waited "
          "| last loss | equal updates |")
    print("|" + "---|" * 12)
    for name in arguments.parts.split(","):
        part = PARTS[name][0]
        folder, shape = shape_of(part)
        write_model_folder(arguments.folder / folder, shape)
        write_pairs(arguments.folder / f"{part}.jsonl", workload(part))
        alone = None
        for ranks in map(int, arguments.ranks.split(",")):
            first = None
            if arguments.beside and ranks > 1:
                try:
                    print_beside(arguments, name, ranks)
                except SystemExit as problem:
                    print(f"beside each other: failed\n{problem}", flush=True)
            for variant in filter(None, [*arguments.variants.split(","), *arguments.peer.split(",")]):
                is_peer = not variant[0].isdigit()
                try:
                    found = peer(name, ranks, variant) if is_peer else train(arguments, name, ranks, variant)
                    alone = alone or found["samples_per_s"]
                    first = first or found["numbers"]
                    print_row(arguments, name, ranks, variant, found, alone, first)
                    if arguments.exposed and ranks > 1 and not is_peer:
                        print_exposed(arguments, name, ranks, variant)
                except SystemExit as problem:
                    print(f"| {name} | {ranks} | {variant} | failed |\n{problem}", flush=True)


if __name__ == "__main__":
    main()
