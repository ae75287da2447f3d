"""Where the GPU time of an update goes: sums the kernels of a trace (report.trace_updates) by part.

usage: gpu_parts.py TRACE.json [KERNELS]
  KERNELS   how many of the kernels that take most to list
An update is counted by its AdamW kernel. `gaps` is the time between the first and the last kernel in which none ran;
`exposed` that in which nothing but exchange between ranks ran (its kernels wait for the other ranks too).
"""

import json
import sys

# The first part whose marks are in a kernel's name.
EXCHANGE = "exchange between ranks"
PARTS = (
    (EXCHANGE, ("nccl",)),
    ("AdamW", ("adamw_kernel",)),
    ("gradient norm", ("square_sum_kernel", "finish_norm_kernel")),
    ("attention", ("flash_fwd", "flash_bwd", "cudnn", "sequence_starts", "fmha", "AttentionKernel", "AttentionBackward")),
    ("norms", ("norm_forward_kernel", "norm_backward_kernel")),
    ("activations", ("activate_kernel", "activate_backward_kernel")),
    ("loss", ("cross_entropy_kernel",)),
    ("embeddings", ("embed_kernel", "add_rows_kernel", "add_position_rows_kernel", "drop_kernel", "RadixSort", "radix")),
    ("sums of biases", ("column_sums_kernel", "add_partials_kernel")),
    ("matrix products", ("gemm", "nvjet", "cutlass", "xmma", "cublas", "splitK")),
    ("joining gradients of q, k and v", ("CatArray",)),
    ("adding gradients of two paths", ("CUDAFunctor_add", "AddFunctor", "add_kernel")),
    ("clearing and copying", ("Memset", "Memcpy", "FillFunctor", "copy_kernel", "direct_copy")),
)


def part_of(name):
    lower = name.lower()
    for part, marks in PARTS:
        if any(mark.lower() in lower for mark in marks):
            return part
    return "other"


def covered(spans, begin):
    """Microseconds from `begin` on in which at least one of the spans runs."""
    busy, reached = 0.0, begin
    for first, last in sorted(spans):
        busy += max(0.0, last - max(first, reached))
        reached = max(reached, last)
    return busy


def parts_of(path):
    """Milliseconds an update by part and by kernel, kernels an update by both, and an update's milliseconds."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    work = [event for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    updates = sum("adamw_kernel" in event["name"] for event in work)
    # From one AdamW to the last, so that whole updates are counted.
    ends = sorted(event["ts"] + event["dur"] for event in work if "adamw_kernel" in event["name"])
    begin, end, whole = ends[0], ends[-1], updates - 1
    milliseconds, counts, kernels, spans = {}, {}, {}, {True: [], False: []}
    for event in work:
        if not begin <= event["ts"] < end:
            continue
        part = part_of(event["name"])
        milliseconds[part] = milliseconds.get(part, 0.0) + event["dur"] / 1000 / whole
        counts[part] = counts.get(part, 0) + 1 / whole
        taken, times = kernels.get((part, event["name"]), (0.0, 0.0))
        kernels[part, event["name"]] = (taken + event["dur"] / 1000 / whole, times + 1 / whole)
        spans[part == EXCHANGE].append((event["ts"], event["ts"] + event["dur"]))
    busy = covered(spans[True] + spans[False], begin)
    milliseconds["gaps"] = (end - begin - busy) / 1000 / whole
    if spans[True]:
        milliseconds["exposed"] = (busy - covered(spans[False], begin)) / 1000 / whole
    return milliseconds, counts, kernels, (end - begin) / 1000 / whole


def print_parts(path, listed=0):
    milliseconds, counts, kernels, whole = parts_of(path)
    print("| part | ms an update | share | kernels |\n|---|---|---|---|")
    for part, value in sorted(milliseconds.items(), key=lambda item: -item[1]):
        print(f"| {part} | {value:.3f} | {100 * value / whole:.1f} % | {counts.get(part, 0):.0f} |")
    print(f"| an update | {whole:.3f} | | {sum(counts.values()):.0f} |")
    for (part, name), (value, times) in sorted(kernels.items(), key=lambda item: -item[1][0])[:listed]:
        print(f"  {value:.3f} ms in {times:.1f}: {part}: {name[:90]}")


if __name__ == "__main__":
    print_parts(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
