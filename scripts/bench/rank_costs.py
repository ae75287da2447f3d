"""What a rank keeps and sends in each stage of parallel.zero_stage, as counted in the run, beside docs/parallelism.md's formulas.

usage: rank_costs.py TXTSUM FOLDER [--ranks 1,2,4] [--stages 0,1,2,3] [--models tiny,middle] [--by mpirun]

Trains a random BART on a CPU in fp32, one micro-batch an update, from the repository's folder. Prints a table, and ends with
1 where a figure is not what its formula says. What an update sends is the difference of two runs, of 2 and of 5 updates.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SMOKE = REPOSITORY / "configs/smoke"
MIDDLE = {"d_model": 256, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024, "encoder_layers": 4, "decoder_layers": 4,
          "encoder_attention_heads": 4, "decoder_attention_heads": 4, "vocab_size": 16384}
UPDATES = (2, 5)
BYTES = 4  # of an fp32 element


def write_model(folder, numbers):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SMOKE / "tiny-bart", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **numbers}))


def train(arguments, model, ranks, stage, updates):
    """The run's rank_work."""
    run = arguments.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    words = [arguments.program, "train", SMOKE / "tiny_bart.yaml", f"model.checkpoint={model}", f"run.output={run}",
             f"train.max_updates={updates}", "train.epochs=null", f"parallel.zero_stage={stage}", "run.threads=1",
             "data.validation=[]", "data.test=[]", "validation.loss=false", "validation.generate=false", "checkpoint.best_metric=none",
             "report.mlflow=false"]
    if ranks > 1 and arguments.by == "mpirun":
        words = ["mpirun", "--oversubscribe", *arguments.mpirun_options, "-n", str(ranks), *words]
    elif ranks > 1:
        words = [arguments.program, "launch", "--processes", str(ranks), "--", *words[1:]]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads((run / "report.json").read_text())["rank_work"]


def formulas(blocks, n, stage):
    """docs/parallelism.md: bytes of what a rank keeps, and elements that it sends in an update."""
    P, B0, B = sum(blocks), blocks[0], max(blocks[1:])
    share = P // n
    visited = P - B0
    again = visited - sum(blocks[-3:])
    beside = share if n > 1 or stage > 0 else 0
    weights = {0: P, 1: P + share, 2: P + share, 3: share + B0 + 3 * B}[stage]
    gradients = {0: P + beside, 1: P + share, 2: share + B0 + 2 * B, 3: share + B0 + 2 * B}[stage]
    gathered = B0 + visited + again if stage == 3 else P
    return {"weight_bytes": BYTES * weights, "gradient_bytes": BYTES * gradients, "master_bytes": 0,
            "moment_bytes": 2 * BYTES * (P if stage == 0 else share),
            "reduce_scatter_elements": P * (n - 1) // n, "all_gather_elements": gathered * (n - 1) // n}


def measure(arguments, model, ranks, stage):
    first, second = (train(arguments, model, ranks, stage, updates) for updates in UPDATES)
    found = dict(second)
    for key in ("reduce_scatter_elements", "all_gather_elements"):
        found[key] = (second[key] - first[key]) / (UPDATES[1] - UPDATES[0])
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--stages", default="0,1,2,3")
    parser.add_argument("--models", default="tiny,middle")
    parser.add_argument("--by", choices=("mpirun", "launch"), default="mpirun")
    parser.add_argument("--mpirun-options", nargs="*", default=[], help="as one word: --mpirun-options=--allow-run-as-root")
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    unequal = 0
    print("| model | ranks | stage | weights | gradients | moments | all, MB | of one rank | reduce_scatter | all_gather |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in arguments.models.split(","):
        model = arguments.folder / name
        write_model(model, {"tiny": {}, "middle": MIDDLE}[name])
        alone = None
        for ranks in map(int, arguments.ranks.split(",")):
            for stage in map(int, arguments.stages.split(",")):
                found = measure(arguments, model, ranks, stage)
                wanted = formulas(found["block_elements"], ranks, stage)
                cells = []
                for key, value in wanted.items():
                    if found[key] != value:
                        unequal += 1
                    cells.append(f"{found[key]:,.0f}" + ("" if found[key] == value else f" (formula: {value:,})"))
                weights, gradients, masters, moments, scattered, gathered = cells
                total = sum(found[key] for key in wanted if key.endswith("bytes"))
                alone = alone or total
                print(f"| {name} | {ranks} | {stage} | {weights} | {gradients} | {moments} | {total / 1e6:.2f} | {total / alone:.2f} | "
                      f"{scattered} | {gathered} |", flush=True)
    if unequal:
        sys.exit(f"{unequal} figures are not what their formulas say")
    print("\nEvery figure is what its formula says.")


if __name__ == "__main__":
    main()
