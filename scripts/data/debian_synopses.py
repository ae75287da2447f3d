#!/usr/bin/env python3
"""Turn a Debian Translation-en index into a summarization data set.

Reads the index on standard input and writes OUT/train.jsonl, OUT/validation.jsonl and OUT/test.jsonl, one JSON object
a line: "id" (the package), "document" (its long description) and "summary" (its one-line synopsis). Needs Python 3
and its standard library alone. scripts/data/debian_synopses.sh fetches the index and calls this.

The same index always gives the same bytes. In each file the pairs are sorted by the SHA-256 of the document, so the
first n of a file are a fixed random sample of it.
"""

import argparse
import hashlib
import json
import pathlib
import re
import sys

SPLITS = ("train", "validation", "test")

# In this order; the first that fits is removed, once. The same as in configs/models/txtsum-mini/README.md: a change here
# would put documents that the model has been pretrained on into the test split.
FAMILY_PREFIX = re.compile(r"^(?:lib|python3-|python-|golang-|librust-|node-|ruby-|r-cran-|r-bioc-)")
BULLET = re.compile(r"^[*+o•-]\s+\S")


def split_of(package):
    """Return the split of a package: sibling packages of one family share it."""
    family = FAMILY_PREFIX.sub("", package).split("-", 1)[0]
    first_byte = hashlib.md5(family.encode("utf-8")).digest()[0]
    if first_byte < 8:
        return "test"
    return "validation" if first_byte < 16 else "train"


def clean(lines):
    """Join the lines of a long description into text, one line a paragraph or list item.

    Each line still has the leading space of the index. " ." ends a paragraph, a further leading space marks a verbatim
    line, which stays a line of its own, unless it continues a list item above it.
    """
    paragraphs = []
    open_item_indent = None  # indentation of the list item that a verbatim line may continue
    starts_new = True
    for line in lines:
        content = line[1:].rstrip()
        text = " ".join(content.split())
        if text in ("", "."):
            starts_new, open_item_indent = True, None
            continue
        indent = len(content) - len(content.lstrip())
        if BULLET.match(text):
            paragraphs.append(text)
            starts_new, open_item_indent = False, indent
        elif indent > 0:
            if open_item_indent is not None and indent > open_item_indent:
                paragraphs[-1] += " " + text
            else:
                paragraphs.append(text)
                starts_new, open_item_indent = True, None
        elif starts_new:
            paragraphs.append(text)
            starts_new, open_item_indent = False, None
        elif open_item_indent:
            paragraphs.append(text)
            open_item_indent = None
        else:
            paragraphs[-1] += " " + text
    return "\n".join(paragraphs)


def read_stanzas(stream):
    """Yield (package, synopsis, lines of the long description) for each stanza of the index."""
    package, synopsis, body = None, None, []
    in_description = False
    for line in stream:
        line = line.rstrip("\n")
        if not line.strip():
            if package and synopsis is not None:
                yield package, synopsis, body
            package, synopsis, body, in_description = None, None, [], False
        elif line[0] in " \t":
            if in_description:
                body.append(line)
        else:
            key, _, value = line.partition(":")
            in_description = key == "Description-en"
            if key == "Package":
                package = value.strip()
            elif in_description:
                synopsis = " ".join(value.split())
    if package and synopsis is not None:
        yield package, synopsis, body


def collect(stream):
    """Return ({split: [(sha256, record)]}, counts). The first description of a package counts, and the first document."""
    pairs = {split: [] for split in SPLITS}
    counts = {"descriptions": 0, "empty": 0, "repeated packages": 0, "repeated documents": 0}
    packages, documents = set(), set()
    for package, synopsis, body in sorted(read_stanzas(stream), key=lambda stanza: stanza[0]):
        counts["descriptions"] += 1
        document = clean(body)
        digest = hashlib.sha256(document.encode("utf-8")).hexdigest()
        if not document or not synopsis:
            counts["empty"] += 1
        elif package in packages:
            counts["repeated packages"] += 1
        elif digest in documents:
            counts["repeated documents"] += 1
        else:
            packages.add(package)
            documents.add(digest)
            record = {"id": package, "document": document, "summary": synopsis}
            pairs[split_of(package)].append((digest, record))
    return pairs, counts


def write(pairs, folder):
    """Write one JSON Lines file a split. A file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in pairs.items():
        path = folder / f"{split}.jsonl"
        partial = path.with_suffix(".jsonl.partial")
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            for _, record in sorted(rows, key=lambda row: row[0]):
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
        partial.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=pathlib.Path, help="folder for the three files")
    arguments = parser.parse_args()
    stream = open(sys.stdin.fileno(), encoding="utf-8", errors="replace", closefd=False)
    pairs, counts = collect(stream)
    if not any(pairs.values()):
        sys.exit("debian_synopses.py: the index holds no English description")
    write(pairs, arguments.out)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    for split in SPLITS:
        print(f"{len(pairs[split]):7d} pairs  {arguments.out / (split + '.jsonl')}")


if __name__ == "__main__":
    main()
