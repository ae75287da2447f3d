#!/usr/bin/env python3
"""Writes tests/fixtures/train/: ten steps of torch.optim.AdamW (float64) and of transformers' Adafactor (fp32) on three small
parameters, and learning rates of transformers' schedules.

Command: python scripts/reference/make_optimizer_fixtures.py
Made with torch 2.11.0, transformers 5.17.0, safetensors; seed 7. Gradients are drawn, not computed; step k multiplies them by 1 + k.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import optimization

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/train"
SHAPES = {"matrix": (5, 7), "vector": (11,), "cube": (2, 3, 4)}
STEPS = 10
ADAMW = {
    "plain": {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    "decayed": {"lr": 3e-2, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
}
ADAFACTOR = {
    "fixed": {"lr": 1e-2, "scale_parameter": False, "relative_step": False},
    "scaled": {"lr": 1e-2, "scale_parameter": True, "relative_step": False, "weight_decay": 0.05},
    "relative": {"lr": None, "scale_parameter": True, "relative_step": True},
    "warmup": {"lr": None, "scale_parameter": True, "relative_step": True, "warmup_init": True},
    "momentum": {"lr": 2e-2, "scale_parameter": False, "relative_step": False, "beta1": 0.9, "clip_threshold": 0.5,
                 "decay_rate": -0.6, "eps": (1e-20, 1e-2), "weight_decay": 0.01},
}


def starts():
    generator = torch.Generator().manual_seed(7)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    gradients = {name: torch.randn((STEPS,) + shape, generator=generator) for name, shape in SHAPES.items()}
    for name in gradients:
        gradients[name] *= torch.arange(1, STEPS + 1).reshape((-1,) + (1,) * len(SHAPES[name]))
    return weights, gradients


def run(make, dtype):
    weights, gradients = starts()
    parameters = {name: torch.nn.Parameter(value.to(dtype)) for name, value in weights.items()}
    # Vectors have no decay, as transformers' Trainer groups biases and norms.
    groups = [{"params": [parameters["matrix"], parameters["cube"]]}, {"params": [parameters["vector"]], "weight_decay": 0.0}]
    optimizer = make(groups)
    history = {name: [] for name in parameters}
    for step in range(STEPS):
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][step].to(dtype)
        optimizer.step()
        for name, parameter in parameters.items():
            history[name].append(parameter.detach().clone())
    return {name: torch.stack(values) for name, values in history.items()}


def schedules():
    rates = []
    for kind, warmup, total, minimum in [("linear", 0, 20, 0.0), ("linear", 5, 20, 0.0), ("cosine", 4, 20, 0.0), ("cosine", 4, 20, 0.1),
                                         ("constant", 3, 20, 0.0), ("inverse_sqrt", 5, 20, 0.0), ("inverse_sqrt", 0, 20, 0.0)]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        if kind == "linear":
            schedule = optimization.get_linear_schedule_with_warmup(optimizer, warmup, total)
        elif kind == "cosine" and minimum == 0.0:
            schedule = optimization.get_cosine_schedule_with_warmup(optimizer, warmup, total)
        elif kind == "cosine":
            schedule = optimization.get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup, total, min_lr_rate=minimum)
        elif kind == "constant":
            schedule = optimization.get_constant_schedule_with_warmup(optimizer, warmup)
        else:
            schedule = optimization.get_inverse_sqrt_schedule(optimizer, warmup)
        factors = []
        for _ in range(total):
            factors.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        rates.append({"name": kind, "warmup_updates": warmup, "total_updates": total, "minimum_share": minimum, "factors": factors})
    return rates


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    weights, gradients = starts()
    tensors = {f"start/{name}": value for name, value in weights.items()}
    tensors |= {f"gradients/{name}": value for name, value in gradients.items()}
    for label, options in ADAMW.items():
        result = run(lambda groups, o=options: torch.optim.AdamW(groups, **o), torch.float64)
        tensors |= {f"adamw_{label}/{name}": value for name, value in result.items()}
    for label, options in ADAFACTOR.items():
        result = run(lambda groups, o=options: optimization.Adafactor(groups, **o), torch.float32)
        tensors |= {f"adafactor_{label}/{name}": value for name, value in result.items()}
    save_file(tensors, OUT / "optimizers.safetensors")
    (OUT / "schedules.json").write_text(json.dumps(schedules(), indent=1) + "\n")


if __name__ == "__main__":
    main()
