"""Makes tests/fixtures/rouge: scores, stems and bootstrap intervals by rouge_score and NLTK.

Made with rouge_score 0.1.2, nltk and numpy of the versions that versions.json beside the fixtures names:

    apt-cache dumpavail | grep '^Description: ' > /tmp/synopses.txt
    python scripts/reference/make_rouge_fixtures.py /tmp/synopses.txt tests/fixtures/rouge

The synopses are real text for half of the pairs and for the word list; everything drawn is drawn from SEED.

pairs.jsonl       one [target, prediction] a line
scores.f64        little-endian doubles; a pair has 24: without stemmer, then with; rouge1, rouge2, rougeL, rougeLsum;
                  precision, recall, F
stems.txt         "word stem" a line
bootstrap.json    BootstrapAggregator's intervals (stemmer on) of the first `pairs` pairs after np.random.seed(seed)
lower_case.json   every character outside ASCII whose lower case has a character in [a-z0-9], with that lower case
"""

import json
import pathlib
import random
import re
import string
import struct
import sys
from importlib.metadata import version

import numpy as np
from nltk.stem import porter
from rouge_score import rouge_scorer, scoring

SEED = 20240607
KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
PIECES = ["", " ", "\n", "\n\n", "\t", "\r\n", "_", "-", ".", "'", "caf\u00e9", "\u0130stanbul", "T\u0130TLE", "300\u212a",
          "\u212aelvin", "\u212a\u0130", "na\u00efve", "\u00df", "\u03a3\u03a3", "\u65e5\u672c\u8a9e", "\U0001f600", "\u00a0",
          "\u2028", "\u0085", "\u0307", "e\u0301", "\uff21\uff11", "\u0660", "\u00b2", "\U0001d400", "3.14", "a_b", "\x00", "\x1c"]


def vary(rng, words):
    """A prediction that shares some of the words with its target, in partly changed order."""
    out = []
    for word in words:
        chance = rng.random()
        if chance < 0.15:
            continue
        out.append(word if chance < 0.8 else rng.choice(words))
        if chance > 0.95:
            out.append(word)
    if rng.random() < 0.4 and len(out) > 3:
        cut = rng.randrange(1, len(out))
        out = out[cut:] + out[:cut]
    return out


def join(rng, words, newline):
    return "".join(w + ("\n" if rng.random() < newline else " ") for w in words).strip(" ")


def make_pairs(rng, lines):
    pairs = [("", ""), ("", "a"), ("a", ""), ("\n", "\n\n"), ("\n\n \n", "word"), ("word", "\n"), ("...", "!"), ("a", "a"),
             ("\n a \n\n b", "b\n\n\na"), ("the the the", "the"), ("the", "the the the"), ("A\nB", "a b"), ("\u0130", "i"),
             ("\u212a", "k"), ("x\u0130y", "xi y"), ("caf\u00e9s", "caf s")]
    for _ in range(900):  # Real text.
        words = " ".join(rng.sample(lines, rng.randint(1, 2))).split()
        pairs.append((join(rng, words, rng.choice([0, 0.15])), join(rng, vary(rng, words), rng.choice([0, 0.15]))))
    for letters in ("ab", "abc", "abcdefgh"):  # Few different tokens: ties and repetitions everywhere.
        for _ in range(300):
            pairs.append(tuple(join(rng, rng.choices(letters, k=rng.randint(0, 30)), 0.2) for _ in range(2)))
    for _ in range(500):  # Odd characters, spaces and cases.
        alphabet = rng.sample(PIECES, 6) + rng.choice(lines).split() + rng.choice(lines).upper().split()
        pairs.append(tuple(rng.choice(["", " "]).join(rng.choices(alphabet, k=rng.randint(0, 14))) for _ in range(2)))
    for _ in range(150):  # Any code point but surrogates.
        points = [chr(rng.choice([rng.randrange(0x300), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000), 0x61, 0x130,
                                  0x212A])) for _ in range(30)]
        pairs.append(tuple(" ".join("".join(rng.choices(points, k=rng.randint(1, 4))) for _ in range(8)) for _ in range(2)))
    for _ in range(8):  # Long texts, with rows of more than 64 tokens.
        words = " ".join(rng.sample(lines, 60)).split()
        newline = rng.choice([0, 0.01, 0.05])
        pairs.append((join(rng, words, newline), join(rng, vary(rng, words), newline)))
    for _ in range(12):
        pairs.append(tuple(join(rng, rng.choices("abcde", k=rng.randint(120, 400)), 0.01) for _ in range(2)))
    return pairs


def make_words(rng, lines):
    words = set(re.findall(r"[a-z0-9]+", " ".join(lines).lower()))
    words = set(rng.sample(sorted(words), min(14000, len(words))))
    suffixes = """s es ies ied ed ing eed y ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism
        iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible
        ant ement ment ent sion tion ion ou ism ate iti ous ive ize e l ll ying at bl iz""".split()
    while len(words) < 21000:
        stem = "".join(rng.choices(string.ascii_lowercase[:5] * 3 + "iouylstzwx7" + string.ascii_lowercase, k=rng.randint(0, 5)))
        words.add(stem + "".join(rng.choices(suffixes, k=rng.choice([1, 1, 2]))))
    words |= set(porter.PorterStemmer().pool) | {"y", "yy", "yyyyyy", "s", "ies", "sses", "ing", "a1ed", "aa11ed"}
    return sorted(words)


def bootstrap_case(pairs, seed, count):
    scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=True)
    aggregator = scoring.BootstrapAggregator()
    for target, prediction in pairs[:count]:
        aggregator.add_scores(scorer.score(target, prediction))
    np.random.seed(seed)
    result = aggregator.aggregate()
    return {"pairs": count, "seed": seed,
            "intervals": {k: [[getattr(bound, m) for bound in result[k]] for m in ("precision", "recall", "fmeasure")]
                          for k in KINDS}}


def main():
    lines = [line.split(": ", 1)[1].strip() for line in open(sys.argv[1], encoding="utf-8")]
    lines = sorted(set(line for line in lines if len(line) > 20))
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    pairs = make_pairs(rng, lines)
    rng.shuffle(pairs)
    scorers = [rouge_scorer.RougeScorer(KINDS, use_stemmer=stem) for stem in (False, True)]
    with open(folder / "pairs.jsonl", "w", encoding="utf-8") as text, open(folder / "scores.f64", "wb") as numbers:
        for target, prediction in pairs:
            text.write(json.dumps([target, prediction]) + "\n")
            for scorer in scorers:
                scores = scorer.score(target, prediction)
                numbers.write(struct.pack("<12d", *(x for k in KINDS for x in scores[k])))
    stemmer = porter.PorterStemmer()
    with open(folder / "stems.txt", "w", encoding="utf-8") as out:
        out.writelines(f"{word} {stemmer.stem(word)}\n" for word in make_words(rng, lines))
    cases = [bootstrap_case(pairs, seed, count) for seed, count in [(0, 1), (0, 2), (0, 300), (42, 129), (7, 8)]]
    (folder / "bootstrap.json").write_text(json.dumps(cases, indent=1) + "\n")
    lower = {c: c.lower() for c in map(chr, range(128, 0x110000)) if re.search("[a-z0-9]", c.lower())}
    (folder / "lower_case.json").write_text(json.dumps(lower) + "\n")
    names = ["rouge-score", "nltk", "numpy"]
    (folder / "versions.json").write_text(json.dumps({n: version(n) for n in names} | {"python": sys.version.split()[0]}) + "\n")
    print(len(pairs), "pairs")


if __name__ == "__main__":
    main()
