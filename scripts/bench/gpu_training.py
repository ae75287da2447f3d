"""txtsum's trainings for the benchmarks: started, watched and read."""

import json
import pathlib
import shutil
import subprocess
import time
from typing import NamedTuple

import pynvml
from gpu_inputs import FIXED, settings, shape_of

LOG_EVERY = 5


class Training(NamedTuple):
    workload: str
    batch: int  # examples an update, of all ranks
    updates: int
    warm: int  # updates before the clock starts


def energy_joules(gpus=1):
    """Of the first GPUs of the machine, since their drivers were loaded."""
    pynvml.nvmlInit()
    handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(gpus))
    return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles) / 1000.0


def watts(gpus):
    """What the first GPUs draw now, by their power meters."""
    handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(gpus))
    return sum(map(pynvml.nvmlDeviceGetPowerUsage, handles)) / 1000.0


def updates_logged(path):
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line["event"] == "update"]


def settings_of(folder, training, run):
    part, updates = training.workload, training.updates
    return {
        "run.output": run,
        "run.overwrite": "true",
        "run.resume": "never",
        "run.device": "cuda",
        "model.checkpoint": folder / shape_of(part)[0],
        "model.init": "random",
        "data.train": folder / f"{part}.jsonl",
        "data.max_source_tokens": max(1024, FIXED.get(part, (0,))[0]),
        "data.max_target_tokens": 256,
        "data.cache": '""',
        "train.max_updates": updates,
        "train.batch_size": training.batch,
        "train.micro_batch_tokens": 70000,
        "train.precision": "bf16",
        "train.log_every_updates": LOG_EVERY,
        "optimizer.learning_rate": "5e-5",
        "optimizer.weight_decay": 0.01,
        "schedule.warmup_updates": 10,
        "checkpoint.optimizer_state": "false",
        "checkpoint.every_updates": updates,  # at the end alone
        "report.mlflow": "false",
    }


def empty_config(folder):
    config = folder / "empty.yaml"
    config.write_text("{}\n")
    return config


def planned_peak_gib(program, folder, training, ranks, extra):
    """What `txtsum plan` says of such a training."""
    chosen = settings(settings_of(folder, training, folder / "planned"), extra)
    command = [program, "plan", str(empty_config(folder)), *chosen, "--ranks", str(ranks), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr[-3000:])
    wanted = {"zero_stage": 0, "offload": "none", "recompute": "none"}
    for text in extra:
        key, _, value = text.partition("=")
        name = key.split(".")[-1]
        if key in ("parallel.zero_stage", "parallel.offload", "train.recompute"):
            wanted[name] = int(value) if name == "zero_stage" else value
    kinds = json.loads(done.stdout)["memory"][0]["settings"]
    return next(kind["peak_bytes"] for kind in kinds if wanted.items() <= kind.items()) / 2**30


def timed_training(command, folder, training, name, extra, gpus=1):
    """`command` train ...; time from the log of updates, energy from the counters read when the log reaches the first
    and the last. None for a run that is too short to be timed."""
    updates = training.updates
    run = folder / f"run-{name}"
    arguments = settings_of(folder, training, run)
    config = empty_config(folder)
    shutil.rmtree(run, ignore_errors=True)  # its log of updates is read while the new one is awaited
    log = (folder / f"{name}.log").open("w")
    process = subprocess.Popen([*command, "train", str(config), *settings(arguments, extra)], stdout=log, stderr=log)
    steps, begin, end, powers = run / "steps.jsonl", None, None, []
    while process.poll() is None:
        done = updates_logged(steps)[-1:]
        if done and begin is None and done[0]["update"] >= training.warm:
            begin = (done[0]["update"], energy_joules(gpus), time.time())
        if done and end is None and done[0]["update"] >= updates:
            end = (done[0]["update"], energy_joules(gpus), time.time())
        if begin and not end:
            powers.append(watts(gpus))
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(pathlib.Path(log.name).read_text()[-3000:])
    if begin is None or end is None or begin[0] >= end[0]:
        return None  # a run for its weights or its trace alone
    every = updates_logged(steps)
    lines = [line for line in every if begin[0] < line["update"] <= end[0]]
    report = json.loads((run / "report.json").read_text())
    samples, seconds = sum(line["examples"] for line in lines), sum(line["seconds"] for line in lines)
    peak = [phase["peak_device_memory_bytes"].get("value") for phase in report["phases"].values()]
    gpu_line = [line for line in pathlib.Path(log.name).read_text().splitlines() if "graphs" in line and "GPU" in line]
    result = {
        "samples_per_s": samples / seconds,
        "joule_per_sample": (end[1] - begin[1]) / samples,
        "peak_gib": max(value for value in peak if value) / 2**30,
        "note": gpu_line[-1] if gpu_line else "",
        "watts": ((end[1] - begin[1]) / (end[2] - begin[2]), sum(powers) / max(1, len(powers))),
        "wall_share": (end[2] - begin[2]) / seconds,
        "numbers": [(line["loss"], line["gradient_norm"]) for line in every],
        "gpu_work": report["gpu_work"],
        "rank_work": report["rank_work"],
    }
    flops = report["phases"]["train"]["flops"].get("value")  # missing where there is no formula
    if flops:
        result["flops_per_sample"] = flops / report["phases"]["train"]["work"]["examples"]
        result["peak_flops"] = report["device_peak"]["value"] * 1e12
    return result
