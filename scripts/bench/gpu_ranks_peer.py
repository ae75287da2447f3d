"""transformers' side of gpu_ranks.py, on each GPU under torchrun: gpu_peer.py's training, with DDP or FSDP.

usage: torchrun --nproc-per-node N gpu_ranks_peer.py WORKLOAD BATCH UPDATES WARM ddp|fsdp
Rank 0 prints a JSON line: samples_per_s and joule_per_sample of all GPUs, peak_gib of its own.
"""

import sys

import gpu_peer

# FSDP2 shares weights, gradients and state a layer at a time, as ZeRO 3 does.
FSDP = {
    "fsdp": "full_shard auto_wrap",
    "fsdp_config": {"fsdp_version": 2, "transformer_layer_cls_to_wrap": ["BartEncoderLayer", "BartDecoderLayer"]},
}


def main():
    name, batch, updates, warm, how = sys.argv[1:]
    gpu_peer.train(name, *map(int, (batch, updates, warm)), **(FSDP if how == "fsdp" else {}))


if __name__ == "__main__":
    main()
