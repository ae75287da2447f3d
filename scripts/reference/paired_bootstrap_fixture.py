"""Compares two made-up systems by a paired bootstrap in NumPy, for tests/unit/metrics/paired_bootstrap_test.cpp.

    python scripts/reference/paired_bootstrap_fixture.py tests/fixtures/metrics/paired_bootstrap.json

Every number comes from the systems' own resampled means: nothing is taken from differences of documents.
"""
import json
import sys

import numpy as np

DOCUMENTS, RESAMPLES, SEED = 60, 500, 7


def compare(first, second):
    """first, second: documents x columns."""
    np.random.seed(SEED)
    means = []
    for _ in range(RESAMPLES):
        rows = np.random.choice(DOCUMENTS, size=DOCUMENTS)
        means.append(second[rows].mean(axis=0) - first[rows].mean(axis=0))
    means = np.array(means)
    found = second.mean(axis=0) - first.mean(axis=0)
    low, middle, high = np.percentile(means, [2.5, 50, 97.5], axis=0)
    p_values = (1 + (np.abs(means - found) >= np.abs(found)).sum(axis=0)) / (1 + RESAMPLES)
    better = ((means > 0) + 0.5 * (means == 0)).mean(axis=0)
    return {"difference": found, "low": low, "middle": middle, "high": high, "p_value": p_values, "better": better}


def main():
    generator = np.random.default_rng(3)
    first = generator.uniform(0, 100, size=(DOCUMENTS, 3)).round(4)
    # Clearly better, better by chance, worse.
    second = (first + generator.normal([6, 1, -3], [9, 9, 12], size=first.shape)).round(4)
    fixture = {"numpy": np.__version__, "resamples": RESAMPLES, "seed": SEED, "columns": first.shape[1],
               "first": first.ravel().tolist(), "second": second.ravel().tolist()}
    fixture.update({name: values.tolist() for name, values in compare(first, second).items()})
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(fixture, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
