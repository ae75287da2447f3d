"""Makes tests/fixtures/data/arrow with datasets 5.2.0 and pyarrow 26.0.1 (Python 3.11; seed 20261125).

Run from the repository's root:  python scripts/reference/make_arrow_fixtures.py

saved/            save_to_disk of a Dataset in three shards
saved_splits/     save_to_disk of a DatasetDict: train in two shards, validation, test
saved_indexed/    a Dataset as datasets 1.0 saved a shuffled one: rows, and their order in a file of indices
hub/              Parquet shards under the names that the Hub gives them, train and validation in one folder
files/            one file each: codecs, row groups, column types, dictionaries that change, Arrow's stream and file format
refused/          files that cannot be read as text: nulls, other types, letters that are not UTF-8, a column twice
expected.json     for each of the first four folders and files: the rows [id, document, summary] in order
"""

import json
import pathlib
import random
import shutil

import datasets
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

SEED = 20261125
OUT = pathlib.Path("tests/fixtures/data/arrow")
PIECES = ["word", "two words", ",", '"', "\n", "\t", "é", "漢字", "😀", "\\", "\0", "'"]


def make_rows(rng, count, start=0):
    def text(most):
        return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))

    return [
        {"id": f"row-{start + i}", "document": text(9), "length": rng.randint(0, 99), "summary": text(4)}
        for i in range(count)
    ]


def table_of(rows, document=pa.string(), summary=pa.string(), ids=pa.string()):
    columns = {
        "id": pa.array([row["id"] for row in rows], pa.string()),
        "document": pa.array([row["document"] for row in rows], pa.string()),
        "nested": pa.array([{"a": [row["length"]], "b": "x"} for row in rows]),
        "summary": pa.array([row["summary"] for row in rows], pa.string()),
    }
    for name, kind in (("document", document), ("summary", summary)):
        if pa.types.is_dictionary(kind):
            columns[name] = columns[name].cast(kind.value_type).dictionary_encode()
        else:
            columns[name] = columns[name].cast(kind)
    if ids != pa.string():
        columns["id"] = pa.array([int(row["id"].split("-")[1]) for row in rows], ids)
    return pa.table(columns)


def write_stream(path, batches, schema=None):
    with pa.ipc.new_stream(str(path), schema or batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_ipc_file(path, table, rows=7):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


class Expected:
    """The rows that each fixture reads to."""

    def __init__(self):
        self.rows = {}

    def add(self, path, rows, number_ids=False):
        ids = [row["id"].split("-")[1] if number_ids else row["id"] for row in rows]
        self.rows[path] = [[key, row["document"], row["summary"]] for key, row in zip(ids, rows)]


def make_saved(rng, expected):
    rows = make_rows(rng, 20)
    datasets.Dataset.from_list(rows).save_to_disk(str(OUT / "saved"), num_shards=3)
    expected.add("saved", rows)
    splits = {"train": make_rows(rng, 12), "validation": make_rows(rng, 5, 100), "test": make_rows(rng, 4, 200)}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(part) for name, part in splits.items()})
    saved.save_to_disk(str(OUT / "saved_splits"), num_shards={"train": 2, "validation": 1, "test": 1})
    for name, part in splits.items():
        expected.add(f"saved_splits/{name}", part)


def make_indexed(rng, expected):
    folder = OUT / "saved_indexed"
    folder.mkdir()
    rows = make_rows(rng, 15)
    table = table_of(rows)
    write_stream(folder / "dataset-0.arrow", table.slice(0, 8).to_batches(max_chunksize=3))
    write_stream(folder / "dataset-1.arrow", table.slice(8).to_batches(max_chunksize=4))
    order = [14, 0, 7, 8, 7, 2, 11]
    write_stream(folder / "indices.arrow", pa.table({"indices": pa.array(order, pa.uint64())}).to_batches())
    state = {
        "_data_files": [{"filename": "dataset-0.arrow"}, {"filename": "dataset-1.arrow"}],
        "_indices_data_files": [{"filename": "indices.arrow"}],
        "_split": "train",
    }
    (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n")
    expected.add("saved_indexed", [rows[i] for i in order])


def make_hub(rng, expected):
    folder = OUT / "hub"
    folder.mkdir()
    train, validation = make_rows(rng, 10), make_rows(rng, 3, 100)
    pq.write_table(table_of(train[:6]), folder / "train-00000-of-00002.parquet")
    pq.write_table(table_of(train[6:]), folder / "train-00001-of-00002.parquet")
    pq.write_table(table_of(validation), folder / "validation-00000-of-00001.parquet")
    expected.add("hub/train", train)
    expected.add("hub/validation", validation)


def make_files(rng, expected):
    folder = OUT / "files"
    folder.mkdir()
    rows = make_rows(rng, 11)
    named = {
        "string": table_of(rows),
        "large_string": table_of(rows, pa.large_string(), pa.large_string()),
        "string_view": table_of(rows, pa.string_view(), pa.string_view()),
        "dictionary": table_of(rows, pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int32(), pa.large_string())),
        "number_ids": table_of(rows, ids=pa.int64()),
    }
    for name, table in named.items():
        numbers = name == "number_ids"
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=4)
        write_ipc_file(folder / f"{name}_file.arrow", table.unify_dictionaries())
        write_stream(folder / f"{name}_stream.arrow", table.to_batches(max_chunksize=4))
        for ending in (".parquet", "_file.arrow", "_stream.arrow"):
            expected.add(f"files/{name}{ending}", rows, numbers)
    for codec in ("none", "snappy", "zstd", "gzip", "brotli", "lz4"):
        pq.write_table(named["string"], folder / f"{codec}.parquet", compression=codec, row_group_size=5)
        expected.add(f"files/{codec}.parquet", rows)
    pa.feather.write_feather(named["string"], str(folder / "lz4.feather"), compression="lz4", chunksize=5)
    expected.add("files/lz4.feather", rows)
    # Each batch has a dictionary of its own, which replaces the one before.
    parts = [table_of(rows[i : i + 4], *[pa.dictionary(pa.int32(), pa.string())] * 2) for i in (0, 4, 8)]
    write_stream(folder / "replaced_dictionary.arrow", [part.combine_chunks().to_batches()[0] for part in parts])
    expected.add("files/replaced_dictionary.arrow", rows)
    empty = named["string"].slice(0, 0)
    pq.write_table(empty, folder / "no_rows.parquet")
    write_stream(folder / "no_rows.arrow", [], empty.schema)
    for ending in ("parquet", "arrow"):
        expected.add(f"files/no_rows.{ending}", [])


def make_refused():
    folder = OUT / "refused"
    folder.mkdir()

    def write(name, **columns):
        table = pa.table(columns)
        pq.write_table(table, folder / f"{name}.parquet")
        write_stream(folder / f"{name}.arrow", table.to_batches())

    documents = pa.array(["one", "two", "three"])
    write("null", document=documents, summary=pa.array(["a", None, "c"]))
    write("all_null", document=documents, summary=pa.array([None] * 3, pa.null()))
    write("list", document=documents, summary=pa.array([["a"], ["b"], []]))
    write("integer", document=documents, summary=pa.array([1, 2, 3]))
    write("float_id", document=documents, summary=documents, id=pa.array([1.0, 2.0, 3.0]))
    write("binary", document=documents, summary=pa.array([b"a", b"b", b"c"]))
    write("other_names", document=documents, text=documents)
    not_utf8 = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0])), pa.py_buffer(b"a\xe9bc")]
    )
    write("not_utf8", document=documents, summary=not_utf8)
    indices = pa.array([0, 1, 0], pa.int32())
    dictionary = pa.DictionaryArray.from_arrays(indices, pa.array(["a", None]))
    write_stream(folder / "null_in_dictionary.arrow", pa.table({"document": documents, "summary": dictionary}).to_batches())
    outside = pa.DictionaryArray.from_arrays(pa.array([0, 5, 0], pa.int32()), pa.array(["a", "b"]), safe=False)
    write_stream(folder / "outside_dictionary.arrow", pa.table({"document": documents, "summary": outside}).to_batches())
    twice = pa.table([documents, documents, documents], names=["document", "summary", "summary"])
    write_stream(folder / "twice.arrow", twice.to_batches())


def main():
    rng = random.Random(SEED)
    datasets.disable_progress_bars()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    expected = Expected()
    make_saved(rng, expected)
    make_indexed(rng, expected)
    make_hub(rng, expected)
    make_files(rng, expected)
    make_refused()
    lines = [json.dumps(path) + ": " + json.dumps(rows) for path, rows in expected.rows.items()]
    (OUT / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
