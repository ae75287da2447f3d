"""txtsum beside transformers and rouge_score on this machine's CPU, in turn: speed and peak memory.

usage: cpu_compare.py TXTSUM FOLDER DATA [--threads N] [--rounds N] [--parts train,generate,rouge]
  TXTSUM   the program, built with `cmake --preset release`
  FOLDER   for models, data and runs: about 3 GB
  DATA     JSON lines with `document` and `summary`, 20,000 or more: scripts/data/debian_synopses.sh makes them

BART-base's shape with random weights and the embedded model's tokenizer, fp32, the same threads on both sides.
train: one epoch of the same 512 pairs, drawn at random from DATA, 16 an update, each side in a random order: AdamW,
clipping, dropout 0.1.
generate: 4 beams, 32 new tokens each, sources by length on both sides.
rouge: ROUGE-1, 2, L and Lsum with stemming, without intervals on both sides.
Peak memory is that of the whole process (VmHWM). Rounds alternate; medians. Needs Python with torch, transformers
and rouge_score, those of requirements that the pages under docs/benchmarks name.
"""

import argparse
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

from gpu_inputs import BART_BASE, settings, write_model_folder

HERE = pathlib.Path(__file__).resolve().parent
TRAIN_BATCH, UPDATES, WARM = 16, 32, 2
GENERATE_BATCH, DOCUMENTS, BEAMS, NEW_TOKENS = 32, 64, 4, 32
PAIRS = 20000


def measured(command):
    """Output, seconds and peak GiB of a process."""
    begin, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            # Not getrusage's, which is never less than that of the process that forked.
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            peak = max(peak, int(found[1])) if found else peak
            time.sleep(0.005)
        seconds = time.perf_counter() - begin
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{text}"[-3000:])
    return text, seconds, peak / 2**20


def our_training(arguments):
    run = arguments.folder / "run"
    chosen = {
        "run.output": run, "run.overwrite": "true", "run.resume": "never", "run.threads": arguments.threads,
        "model.checkpoint": arguments.folder / "bart-base", "model.init": "random",
        "data.train": arguments.folder / "pairs.jsonl", "data.cache": '""', "train.epochs": 1, "train.batch_size": TRAIN_BATCH, "train.log_every_updates": 1,
        "optimizer.learning_rate": "5e-5", "optimizer.weight_decay": 0.01, "checkpoint.optimizer_state": "false",
        "report.mlflow": "false",
    }
    config = arguments.folder / "empty.yaml"
    config.write_text("{}\n")
    _, _, peak = measured([arguments.program, "train", config, *settings(chosen, [])])
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["event"] == "update" and line["update"] > WARM]
    return sum(line["examples"] for line in lines) / sum(line["seconds"] for line in lines), peak


def our_generation(arguments):
    chosen = {
        "run.threads": arguments.threads, "generation.beams": BEAMS, "generation.max_new_tokens": NEW_TOKENS,
        "generation.min_new_tokens": NEW_TOKENS, "generation.slots": GENERATE_BATCH, "generation.early_stopping": "true",
        "generation.no_repeat_ngram": 0, "generation.forced_bos_token_id": -1, "generation.forced_eos_token_id": -1,
    }
    files = ["--input", arguments.folder / "documents.jsonl", "--output", arguments.folder / "summaries.jsonl"]
    log, _, peak = measured([arguments.program, "summarize", "--model", arguments.folder / "run" / "model", *files,
                             *settings(chosen, [])])
    line = [line for line in log.splitlines() if " documents/s" in line][-1]
    return DOCUMENTS / float(line.split(" s, ")[0].split()[-1]), peak


def peer(arguments, part, folder, count, warm):
    data = arguments.folder / "pairs.jsonl" if part == "train" else arguments.data
    command = [sys.executable, HERE / "cpu_peer.py", part, folder, data, str(count), str(warm)]
    output, _, peak = measured([*command, str(arguments.threads)])
    line = [line for line in output.splitlines() if line.startswith('{"samples_per_s"')][-1]
    return json.loads(line)["samples_per_s"], peak


def our_scores(arguments):
    _, seconds, peak = measured([arguments.program, "score", arguments.folder / "candidates.txt",
                                 arguments.folder / "references.txt"])
    return PAIRS / seconds, peak


PEER_ROUGE = """
import sys, time
from rouge_score import rouge_scorer
candidates, references = (open(path, encoding="utf-8").read().splitlines() for path in sys.argv[1:])
scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True)
begin = time.perf_counter()
for candidate, reference in zip(candidates, references, strict=True):
    scorer.score(reference, candidate)
print(time.perf_counter() - begin)
"""


def peer_scores(arguments):
    output, _, peak = measured([sys.executable, "-c", PEER_ROUGE, arguments.folder / "candidates.txt",
                                arguments.folder / "references.txt"])
    return PAIRS / float(output.splitlines()[-1]), peak


def write_inputs(arguments):
    """The model's folder; documents to summarize; documents as candidates, so that texts are long enough to time."""
    write_model_folder(arguments.folder / "bart-base", BART_BASE)
    with arguments.data.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(PAIRS))]
    if len(rows) < PAIRS:
        raise SystemExit(f"{arguments.data}: {len(rows)} lines, {PAIRS} wanted")
    pairs = random.Random(1).sample(rows, TRAIN_BATCH * UPDATES)
    (arguments.folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    (arguments.folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:DOCUMENTS]))
    texts = [" ".join(row["document"].split()) for row in rows]
    (arguments.folder / "candidates.txt").write_text("".join(text + "\n" for text in texts))
    (arguments.folder / "references.txt").write_text("".join(text + "\n" for text in texts[1:] + texts[:1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default="train,generate,rouge")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_inputs(arguments)
    model = arguments.folder / "bart-base"
    parts = {
        "train": (our_training, lambda a: peer(a, "train", model, UPDATES, WARM)),
        "generate": (our_generation, lambda a: peer(a, "generate", arguments.folder / "run" / "model", DOCUMENTS, 0)),
        "rouge": (our_scores, peer_scores),
    }
    print("| part | txtsum, samples/s | theirs | times | txtsum, peak GiB | theirs | times |\n" + "|---" * 7 + "|")
    for part in arguments.parts.split(","):
        rounds = [[side(arguments) for side in parts[part]] for _ in range(arguments.rounds)]
        (speed, memory), (their_speed, their_memory) = (
            [statistics.median(one[side][value] for one in rounds) for value in (0, 1)] for side in (0, 1))
        print(f"| {part} | {speed:.2f} | {their_speed:.2f} | {speed / their_speed:.2f} | {memory:.2f} | {their_memory:.2f} "
              f"| {memory / their_memory:.2f} |", flush=True)


if __name__ == "__main__":
    main()
