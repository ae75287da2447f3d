"""BART-large's training on one GPU with what parallel.offload moves to host memory; random weights and pairs.

usage: gpu_offload.py TXTSUM FOLDER [--parts samsum64,long16] [--updates N] [key=value ...]
Prints a table: samples/s, how many times those without offload, peak memory of the allocator, and losses, which differ
in their last digits alone.
"""

import argparse
import pathlib

from gpu_inputs import shape_of, workload, write_model_folder, write_pairs
from gpu_ranks import PARTS, train

# stage and offload
WAYS = ((0, "none"), (0, "optimizer"), (3, "none"), (3, "optimizer"), (3, "optimizer_and_parameters"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--parts", default="samsum64,long16")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("settings", nargs="*", help="key=value for txtsum")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    own = arguments.settings
    print("| part | stage | offload | samples/s | times none | peak GiB | first loss | last loss |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.parts.split(","):
        part = PARTS[name][0]
        folder, shape = shape_of(part)
        write_model_folder(arguments.folder / folder, shape)
        write_pairs(arguments.folder / f"{part}.jsonl", workload(part))
        plain = None
        for stage, offload in WAYS:
            arguments.settings = [f"parallel.offload={offload}", *own]
            found = train(arguments, name, 1, stage)
            if "error" in found:
                print(f"| {name} | {stage} | {offload} | failed | | | | |\n{found['error']}", flush=True)
                continue
            plain = plain or found["samples_per_s"]
            first, last = found["losses"]
            print(f"| {name} | {stage} | {offload} | {found['samples_per_s']:.1f} | {found['samples_per_s'] / plain:.2f} | "
                  f"{found['peak_gib']:.2f} | {first:.6f} | {last:.6f} |", flush=True)
            print("  " + " ".join(found["graphs"]), flush=True)


if __name__ == "__main__":
    main()
