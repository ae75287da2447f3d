#!/usr/bin/env python3
"""Time `txtsum tokenizer encode` beside the tokenizers package, one core each, in turn, on the same lines.

usage: taskset -c 0 scripts/bench/tokenizer.py TXTSUM FOLDER FILE [--rounds N]
  TXTSUM    the program
  FOLDER    a model folder with tokenizer.json
  FILE      JSON lines; the field "document" of each is one text

Ours is timed as a whole process: start, reading the tokenizer, reading the lines, writing the ids as JSON to a file. Theirs is the
calls of encode_batch alone, without Python's start, the reading of the tokenizer, and any output. Both give the same ids, or
this fails. Needs the Python package tokenizers.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402  (the number of threads is read at import)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("txtsum")
    parser.add_argument("folder")
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    with open(arguments.file, encoding="utf-8") as lines:
        texts = [" ".join(json.loads(line)["document"].split()) for line in lines]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    # Read anew in each round, since the package keeps a cache of words between calls.
    path = os.path.join(arguments.folder, "tokenizer.json")
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "texts.txt")
        result = os.path.join(folder, "ids.txt")
        with open(source, "w", encoding="utf-8") as file:
            file.write("".join(text + "\n" for text in texts))
        for _ in range(arguments.rounds):
            with open(source, "rb") as stdin, open(result, "wb") as stdout:
                begin = time.perf_counter()
                subprocess.run([arguments.txtsum, "tokenizer", "encode", arguments.folder], stdin=stdin, stdout=stdout, check=True)
                ours.append(time.perf_counter() - begin)
            peer = tokenizers.Tokenizer.from_file(path)
            peer.no_truncation()
            peer.no_padding()
            begin = time.perf_counter()
            encodings = peer.encode_batch(texts)
            theirs.append(time.perf_counter() - begin)
        with open(result, encoding="utf-8") as file:
            different = sum(json.loads(line) != encoding.ids for line, encoding in zip(file, encodings, strict=True))
    if different:
        raise SystemExit(f"{different} of {len(texts)} texts have other ids")
    print(f"{len(texts)} texts, {megabytes:.1f} MB, all ids equal; median of {arguments.rounds} rounds (least to most)")
    for name, seconds in (("txtsum", ours), (f"tokenizers {tokenizers.__version__}", theirs)):
        middle = statistics.median(seconds)
        print(f"{name:20} {middle:7.2f} s ({min(seconds):.2f} to {max(seconds):.2f})   {megabytes / middle:6.1f} MB/s")
    print(f"ratio {statistics.median(theirs) / statistics.median(ours):.2f}")


if __name__ == "__main__":
    main()
