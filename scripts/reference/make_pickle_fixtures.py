"""Makes tests/fixtures/io/pickled with torch: files of torch.save, and what is in them as safetensors.

Run from the repository's root:  python scripts/reference/make_pickle_fixtures.py
Made with torch 2.11.0, safetensors 0.8.0; seed 20261125.

zip.bin, legacy.bin, protocol4.bin   one dictionary in both forms, and the zip with a newer pickle protocol
expected.safetensors                 its tensors
module.bin                           a module's state dict, which is an OrderedDict with a state of its own
sharded/                             two files and pytorch_model.bin.index.json
refused/                             what must not be read: see make_refused
"""

import collections
import json
import os
import pathlib
import pickle
import zipfile

import torch
from safetensors.torch import save_file

OUT = pathlib.Path("tests/fixtures/io/pickled")


def tensors():
    torch.manual_seed(20261125)
    base = torch.randn(40)
    tied = torch.randn(5, 3)
    return {
        "fp32": torch.randn(3, 4),
        "fp16": torch.randn(7).half(),
        "bf16": torch.randn(2, 2, 2).bfloat16(),
        "fp64": torch.randn(3, dtype=torch.float64),
        "int64": torch.arange(-3, 3),
        "uint8": torch.arange(5, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "transposed": torch.randn(4, 6).t(),
        "part of a larger storage": base[7:19].view(3, 4),
        "every third": base[1::3],
        "tied.a": tied,
        "tied.b": tied,
        "empty, the other way": torch.zeros(4, 0),
        "parameter": torch.nn.Parameter(torch.randn(2, 3)),
    }


class Attack:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return (os.system, ("echo attacked > /tmp/txtsum-attacked",))


def make_refused(folder, values):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": values["fp32"], "x": Attack()}, folder / "attack.bin")
    torch.save({"x": Attack()}, folder / "attack_legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"model": {"a": values["fp32"]}, "epoch": 3}, folder / "whole_training.bin")
    torch.save(values["fp32"], folder / "one_tensor.bin")
    with zipfile.ZipFile(OUT / "zip.bin") as good, zipfile.ZipFile(
        folder / "compressed.bin", "w", zipfile.ZIP_DEFLATED
    ) as packed:
        for name in good.namelist():
            packed.writestr(name, good.read(name))
    with (folder / "plain_pickle.bin").open("wb") as file:
        pickle.dump({"a": [1, 2]}, file, protocol=2)
    damaged = bytearray((OUT / "zip.bin").read_bytes())
    with zipfile.ZipFile(OUT / "zip.bin") as good:
        info = next(item for item in good.infolist() if item.filename.endswith("/data/0"))
        data = info.header_offset + 30 + int.from_bytes(damaged[info.header_offset + 26 : info.header_offset + 28], "little")
        data += int.from_bytes(damaged[info.header_offset + 28 : info.header_offset + 30], "little")
    damaged[data] ^= 1
    (folder / "damaged.bin").write_bytes(damaged)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    values = tensors()
    torch.save(values, OUT / "zip.bin")
    torch.save(values, OUT / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(values, OUT / "protocol4.bin", pickle_protocol=4)
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()}, OUT / "expected.safetensors")
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.save(module.state_dict(), OUT / "module.bin")
    (OUT / "sharded").mkdir(exist_ok=True)
    shards = {"pytorch_model-00001-of-00002.bin": ["fp32", "fp16"], "pytorch_model-00002-of-00002.bin": ["bf16"]}
    for file, names in shards.items():
        torch.save(collections.OrderedDict((name, values[name]) for name in names), OUT / "sharded" / file)
    weight_map = {name: file for file, names in shards.items() for name in names}
    (OUT / "sharded" / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    make_refused(OUT / "refused", values)


if __name__ == "__main__":
    main()
