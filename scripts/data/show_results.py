#!/usr/bin/env python3
"""Show what a run came to: its scores beside two baselines, and three documents with reference and summary.

Needs Python 3 and its standard library alone. scripts/quickstart.sh calls it.
"""

import argparse
import json
import pathlib
import textwrap

METRICS = ("rouge1", "rouge2", "rougeL")
SHOWN = 3  # documents


def read_lines(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def scores_of(folder):
    results = json.loads((folder / "predict_results.json").read_text(encoding="utf-8"))
    return {metric: results[f"predict_{metric}"] for metric in METRICS}


def show_text(label, text, lines):
    wrapped = textwrap.wrap(" ".join(text.split()), width=88, max_lines=lines, placeholder=" ...") or [""]
    for number, line in enumerate(wrapped):
        print(f"  {label if number == 0 else '':11}{line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=pathlib.Path, help="folder of the run")
    parser.add_argument("before", type=pathlib.Path, help="folder of the evaluation of the model before fine-tuning")
    parser.add_argument("first_words", type=pathlib.Path, help="what `txtsum score` printed for the first words")
    parser.add_argument("data", type=pathlib.Path, help="the split: id, document")
    arguments = parser.parse_args()

    documents = {row["id"]: row["document"] for row in read_lines(arguments.data)}
    predictions = read_lines(arguments.run / "predictions.jsonl")
    first_words = json.loads(arguments.first_words.read_text(encoding="utf-8"))
    print(f"  ROUGE F x 100 on {len(predictions)} test documents      " + "".join(f"{metric:>9}" for metric in METRICS))
    for label, scores in (
        ("the fine-tuned model", scores_of(arguments.run)),
        ("the model before fine-tuning", scores_of(arguments.before)),
        ("the first eight words of the document", first_words),
    ):
        print(f"  {label:43}" + "".join(f"{scores[metric]:9.2f}" for metric in METRICS))
    for row in predictions[:SHOWN]:
        print()
        show_text("document", documents[row["id"]], 5)
        show_text("reference", row["reference"], 2)
        show_text("summary", row["summary"], 2)


if __name__ == "__main__":
    main()
