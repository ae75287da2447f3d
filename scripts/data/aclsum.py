#!/usr/bin/env python3
"""Turn the wheel of the package aclsum 0.1.2 into a summarization data set.

Writes OUT/train.jsonl, OUT/validation.jsonl and OUT/test.jsonl, one JSON object a line: "id" (of the ACL Anthology),
"title", "document" and "summary". Needs Python 3 and its standard library alone, and reads the wheel as the zip archive
that it is: no code in it runs. scripts/data/aclsum.sh fetches the wheel and calls this.

The same wheel always gives the same bytes. The split and the order are the package's.
"""

import argparse
import json
import math
import pathlib
import re
import zipfile

SPLITS = {"train": "train", "validation": "val", "test": "test"}  # ours: the package's
ASPECTS = ("challenge", "approach", "outcome")
ASPECT_SECTIONS = ("abstract", "introduction", "conclusion")  # in the order in which the package joins them

# Characters of a PDF font's own: pieces of tall brackets and the like, without a meaning outside the font.
PRIVATE_USE = re.compile("[\ue000-\uf8ff]")
# Thirty or more words of one or two characters in a row: formulas, marks of a chart, or an image as spaced-out base64
# (of which one paper has 14,000 such words). Of prose, a match takes a short word at either end at most.
STRAY = re.compile(r"(?<!\S)(?:\S{1,2}(?: |$)){30,}")
NO_CONTENT = re.compile(r"acknowledg", re.IGNORECASE)  # one of these sections holds references too
FOOTNOTE_MARK = re.compile(r" 1( \.)?$")

# Where the PDF parser put a footnote, a figure or the introduction behind an abstract: how that foreign text begins.
# Found by looking at the ends of all 250.
FOREIGN_TEXT = {
    "2020.acl-main.47": "Model Verbs whose type-A",
    "2021.acl-long.420": "1 * Work is done",
    "2021.emnlp-main.411": "Keeping in mind that",
    "2021.naacl-main.34": "1 Nuclear reactors",
    "2021.naacl-main.410": "x performed until",
    "D10-1092": "SMT systems thus fail",
    "P12-1096": "* This work",
    "P12-1103": "This work was done",
    "P19-1252": "* Equal Contribution",
}

COUNTED = (
    "footnotes",
    "paragraphs of acknowledgements",
    "placeholders",
    "runs of stray characters",
    "private-use characters",
    "ends of abstracts",
    "footnote marks",
)


def clean(text, counts):
    """Return the text on one line, without what is no text."""
    text, symbols = PRIVATE_USE.subn(" ", text)
    text, strays = STRAY.subn("", " ".join(text.split()))
    counts["private-use characters"] += symbols
    counts["runs of stray characters"] += strays
    return text.strip()


def abstract_of(paper_id, text, counts):
    """Return the abstract on one line, without the foreign text behind it and the mark of a footnote at its end."""
    text = " ".join(text.split())
    start = text.find(FOREIGN_TEXT.get(paper_id, "\0"))
    if start >= 0:
        text = text[:start].rstrip()
        counts["ends of abstracts"] += 1
    text, marks = FOOTNOTE_MARK.subn(lambda mark: "." if mark[1] else "", text)
    counts["footnote marks"] += marks
    return text


def body_of(paragraphs, counts):
    """Return the body's lines: the heading of each section, and each of its paragraphs.

    Left out: footnotes (the parser puts them last, without a heading), acknowledgements, and the parser's placeholders
    for formulas that stand on a line of their own.
    """
    end = len(paragraphs)
    while end > 0 and not paragraphs[end - 1]["section"].strip():
        end -= 1
    counts["footnotes"] += len(paragraphs) - end
    lines, last_heading = [], None
    for paragraph in paragraphs[:end]:
        if NO_CONTENT.match(paragraph["section"]):
            counts["paragraphs of acknowledgements"] += 1
            continue
        if paragraph["text"].strip() == "EQUATION":
            counts["placeholders"] += 1
            continue
        text = clean(paragraph["text"], counts)
        if not text:
            continue
        heading = (paragraph["sec_num"], paragraph["section"])
        if heading != last_heading and heading[1].strip():
            lines.append(" ".join(heading[1].split()))
        last_heading = heading
        lines.append(text)
    return lines


def whole_paper(row, paper, counts):
    lines = [" ".join(row["title"].split()), *body_of(paper["pdf_parse"]["body_text"], counts)]
    return "\n".join(lines), abstract_of(row["id"], paper["abstract"], counts)


def aspect_pair(row, aspect):
    """Return the package's own source (to_parallel_corpus in its code) and the aspect's summary."""
    sentences = [sentence for section in ASPECT_SECTIONS for sentence in row["sentences"][section]]
    return " ".join(" ".join(sentences).split()), " ".join(row["summary"][aspect].split())


def collect(wheel, aspect):
    """Return ({split: [record]}, counts of what was left out)."""
    counts = dict.fromkeys(COUNTED, 0)
    records = {}
    with zipfile.ZipFile(wheel) as archive:
        for split, name in SPLITS.items():
            records[split] = []
            for line in archive.read(f"aclsum/dataset/{name}.jsonl").decode("utf-8").split("\n"):
                if not line.strip():
                    continue
                row = json.loads(line)
                if aspect:
                    document, summary = aspect_pair(row, aspect)
                else:
                    paper = json.loads(archive.read(f"aclsum/dataset/paper_jsons/{row['id']}.json"))
                    document, summary = whole_paper(row, paper, counts)
                title = " ".join(row["title"].split())
                records[split].append({"id": row["id"], "title": title, "document": document, "summary": summary})
    return records, counts


def write(records, folder):
    """Write one JSON Lines file a split. A file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partials = []
    for split, rows in records.items():
        path = folder / f"{split}.jsonl"
        partials.append((path.with_suffix(".jsonl.partial"), path))
        with partials[-1][0].open("w", encoding="utf-8", newline="\n") as out:
            for record in rows:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
    for partial, path in partials:
        partial.replace(path)


def lengths(texts):
    """Return the median, the 90th and the 99th percentile (nearest rank) and the maximum of the lengths in words."""
    words = sorted(len(text.split()) for text in texts)
    return [words[max(0, math.ceil(share * len(words)) - 1)] for share in (0.5, 0.9, 0.99, 1.0)]


def print_table(records):
    print(f"{'':10} {'':>6}  {'document words':^31}  {'summary words':^31}")
    columns = "".join(f"{name:>8}" for name in ("median", "90 %", "99 %", "longest"))
    print(f"{'':10} {'pairs':>6} {columns} {columns}")
    for split, rows in records.items():
        parts = ["".join(f"{n:8d}" for n in lengths(row[key] for row in rows)) for key in ("document", "summary")]
        print(f"{split:10} {len(rows):6d} {' '.join(parts)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=pathlib.Path, help="aclsum-0.1.2-py3-none-any.whl")
    parser.add_argument("out", type=pathlib.Path, help="folder for the three files")
    parser.add_argument("--aspect", choices=ASPECTS, help="this aspect's summaries instead of abstracts")
    arguments = parser.parse_args()
    records, counts = collect(arguments.wheel, arguments.aspect)
    write(records, arguments.out)
    if not arguments.aspect:
        print("left out: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    print_table(records)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
