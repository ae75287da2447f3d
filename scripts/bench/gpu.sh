#!/usr/bin/env bash
# Time txtsum beside transformers on this machine's GPU, in turn, on BART-large's shape with random weights; nothing is
# downloaded.
#
# usage: scripts/bench/gpu.sh TXTSUM FOLDER [--parts samsum16,samsum64,samsum128,long16,generate,led4096,led16384,t5samsum64,bigbird4096,ledgenerate] [--only peer|txtsum]
#                              [--breakdown PART] [key=value ...]
#   TXTSUM   the program, built with `cmake --preset cuda`
#   --parts curve2048,curve4096,...,curve65536 --only txtsum: LED's shape by length
#   --breakdown PART   also trace this part and print where the time of an update goes
#   key=value          settings for txtsum
#   FOLDER   for models, data and runs: about 10 GB, best in memory (/dev/shm/bench)
#
# Needs Python with torch, transformers, accelerate and nvidia-ml-py.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu_compare.py" "$@"
