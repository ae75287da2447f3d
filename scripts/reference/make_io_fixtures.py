"""Makes tests/fixtures/io with the safetensors and transformers packages.

Run from the repository's root:  python scripts/reference/make_io_fixtures.py
Made with safetensors 0.8.0, transformers 5.17.0, torch 2.11.0; seed 20261123.

mixed.safetensors     every type that txtsum reads, a scalar, an empty tensor, names beyond ASCII, and metadata
mixed.json            the same tensors' shapes and values
sharded/              a random BART saved by transformers in shards of at most 20 kB
sharded_order.json    the order of its state dict, by which transformers fills shards
mutations.json        damaged variants of a small file, each with the package's verdict (loads or not)
"""

import base64
import json
import pathlib
import random
import struct

import torch
from safetensors.torch import load, save, save_file
from transformers import BartConfig, BartForConditionalGeneration

SEED = 20261123
OUT = pathlib.Path("tests/fixtures/io")
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool]


def make_mixed():
    tensors = {}
    for number, dtype in enumerate(DTYPES):
        values = torch.randn(2, 3) * 10
        name = f"layer.{number}.{str(dtype).removeprefix('torch.')}"
        tensors[name] = (values > 0) if dtype == torch.bool else values.abs().to(dtype)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors['quote " and \\ and \n and é'] = torch.arange(5, dtype=torch.uint8)
    save_file(tensors, OUT / "mixed.safetensors", metadata={"format": "pt"})
    values = {name: {"shape": list(t.shape), "values": t.double().flatten().tolist()} for name, t in tensors.items()}
    (OUT / "mixed.json").write_text(json.dumps(values, indent=1) + "\n")


def make_sharded():
    config = BartConfig(vocab_size=96, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=24)
    model = BartForConditionalGeneration(config)
    model.save_pretrained(OUT / "sharded", max_shard_size="20KB")
    for extra in ("config.json", "generation_config.json"):
        (OUT / "sharded" / extra).unlink(missing_ok=True)
    (OUT / "sharded_order.json").write_text(json.dumps(list(model.state_dict())) + "\n")


def verdict(data):
    try:
        load(data)
        return True
    except Exception:  # noqa: BLE001 - whatever the package raises is a refusal
        return False


def with_header(header, data=b"", pad=True):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8 if pad else 0)
    return struct.pack("<Q", len(text)) + text + data


def hand_made():
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    two = {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}
    yield "empty file", b""
    yield "seven bytes", b"\0" * 7
    yield "no header", struct.pack("<Q", 0)
    yield "header longer than the file", struct.pack("<Q", 100) + b"{}"
    yield "header length 2^63", struct.pack("<Q", 1 << 63) + b"{}"
    yield "header length 2^64 - 1", struct.pack("<Q", (1 << 64) - 1) + b"{}"
    yield "no tensors", with_header({})
    yield "one tensor", with_header({"a": one}, bytes(8))
    yield "header not padded", with_header({"abc": one}, bytes(8), pad=False)
    yield "space before the brace", with_header(b' {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
    yield "array", with_header([], b"")
    yield "text after the object", with_header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x', bytes(8))
    yield "data too short", with_header({"a": one}, bytes(7))
    yield "data too long", with_header({"a": one}, bytes(9))
    yield "hole at the start", with_header({"b": two}, bytes(16))
    yield "hole between", with_header({"a": one, "c": {**one, "data_offsets": [12, 20]}}, bytes(20))
    yield "overlap", with_header({"a": one, "b": {**one, "data_offsets": [4, 12]}}, bytes(12))
    yield "same bytes twice", with_header({"a": one, "b": one}, bytes(8))
    yield "begin after end", with_header({"a": {**one, "data_offsets": [8, 0]}}, bytes(8))
    yield "wrong byte count", with_header({"a": {**one, "shape": [3]}}, bytes(8))
    yield "unknown dtype", with_header({"a": {**one, "dtype": "F33"}}, bytes(8))
    yield "lower-case dtype", with_header({"a": {**one, "dtype": "f32"}}, bytes(8))
    yield "no dtype", with_header({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8))
    yield "no shape", with_header({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8))
    yield "no offsets", with_header({"a": {"dtype": "F32", "shape": [2]}}, bytes(8))
    yield "one offset", with_header({"a": {**one, "data_offsets": [8]}}, bytes(8))
    yield "three offsets", with_header({"a": {**one, "data_offsets": [0, 8, 8]}}, bytes(8))
    yield "negative size", with_header({"a": {**one, "shape": [-2]}}, bytes(8))
    yield "size with a fraction", with_header({"a": {**one, "shape": [2.0]}}, bytes(8))
    yield "size as text", with_header({"a": {**one, "shape": ["2"]}}, bytes(8))
    yield "sizes that overflow", with_header({"a": {**one, "shape": [1 << 32, 1 << 32, 4]}}, bytes(8))
    yield "size of 2^70", with_header({"a": {**one, "shape": [1 << 70]}}, bytes(8))
    yield "scalar", with_header({"a": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]}}, bytes(8))
    yield "empty tensor", with_header({"a": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}})
    yield "two empty tensors and one full", with_header(
        {"e": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}, "a": one,
         "f": {"dtype": "I8", "shape": [0, 3], "data_offsets": [8, 8]}}, bytes(8))
    yield "metadata", with_header({"__metadata__": {"format": "pt"}, "a": one}, bytes(8))
    yield "metadata last", with_header({"a": one, "__metadata__": {"format": "pt"}}, bytes(8))
    yield "metadata not text", with_header({"__metadata__": {"step": 3}, "a": one}, bytes(8))
    yield "metadata an array", with_header({"__metadata__": ["pt"], "a": one}, bytes(8))
    yield "order differs from bytes", with_header({"b": two, "a": one}, bytes(16))
    yield "bad UTF-8 in a name", with_header(b'{"\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
    yield "lone surrogate in a name", with_header(b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
    yield "escapes in a name", with_header(b'{"\\u00e9\\n":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
    yield "comma too many", with_header(b'{"a":{"dtype":"F32","shape":[2,],"data_offsets":[0,8]}}', bytes(8))
    yield "leading zero", with_header(b'{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', bytes(8))
    yield "cut in the middle", with_header(b'{"a":{"dtype":"F32","sha', bytes(8))
    yield "nested without end", with_header(b"[" * 5000)


def make_mutations():
    rng = random.Random(SEED)
    base = save({"a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3), "b": torch.arange(4, dtype=torch.int16)},
                metadata={"format": "pt"})
    header_end = 8 + struct.unpack("<Q", base[:8])[0]
    cases = [{"name": name, "data": data} for name, data in hand_made()]
    for position in range(header_end + 1):
        cases.append({"name": f"cut at {position}", "data": base[:position]})
    for position in range(header_end):
        for bit in rng.sample(range(8), 3):
            data = bytearray(base)
            data[position] ^= 1 << bit
            cases.append({"name": f"bit {bit} of byte {position}", "data": bytes(data)})
    for number in range(300):
        data = bytearray(base)
        for _ in range(rng.randint(2, 4)):
            data[rng.randrange(8, header_end)] = rng.choice(b'0123456789"{}[],: \\aF')
        cases.append({"name": f"random {number}", "data": bytes(data)})
    rows = [{"name": c["name"], "loads": verdict(c["data"]), "data": base64.b64encode(c["data"]).decode()} for c in cases]
    (OUT / "mutations.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    torch.manual_seed(SEED)
    OUT.mkdir(parents=True, exist_ok=True)
    make_mixed()
    make_sharded()
    make_mutations()
