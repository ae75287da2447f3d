#!/usr/bin/env python3
"""Write the baseline that any summarizer has to beat: the first words of each document.

Reads the ids and references of a run's predictions.jsonl and the documents of the split they come from. Writes
OUT/predictions.txt (a document's first words a line) and OUT/references.txt, line for line, for `txtsum score`. Needs
Python 3 and its standard library alone.
"""

import argparse
import json
import pathlib
import sys


def read_lines(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("predictions", type=pathlib.Path, help="a run's predictions.jsonl: id, summary, reference")
    parser.add_argument("data", type=pathlib.Path, help="the split: id, document")
    parser.add_argument("out", type=pathlib.Path, help="folder for the two files")
    parser.add_argument("--words", type=int, default=8, help="how many words (default: 8)")
    arguments = parser.parse_args()

    documents = {row["id"]: row["document"] for row in read_lines(arguments.data)}
    rows = read_lines(arguments.predictions)
    missing = [row["id"] for row in rows if row["id"] not in documents]
    if missing or not rows:
        sys.exit(f"first_words.py: {len(missing)} of {len(rows)} ids are not in {arguments.data} ({missing[:3]})")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, texts in (
        ("predictions.txt", (" ".join(documents[row["id"]].split()[: arguments.words]) for row in rows)),
        ("references.txt", (" ".join(row["reference"].split()) for row in rows)),
    ):
        (arguments.out / name).write_text("".join(text + "\n" for text in texts), encoding="utf-8")


if __name__ == "__main__":
    main()
