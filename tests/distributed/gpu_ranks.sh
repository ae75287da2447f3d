#!/usr/bin/env bash
# Test the collectives of ranks on this machine's GPUs, and print what they reach.
#
# usage: tests/distributed/gpu_ranks.sh FOLDER
#   FOLDER   holds test_unit_parallel and rank_program, built with `cmake --preset cuda`; they may have been carried
#            here, with LD_LIBRARY_PATH naming the libraries of LibTorch and CUDA
#
# Two GPUs or more; with one, what needs two is skipped. Needs Python 3's standard library alone.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,/^set /{/^#/s/^# \?//p}' "$0"; exit 2; }
folder=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
# NVLink's multicast is not there on every machine that NCCL expects it on.
export NCCL_NVLS_ENABLE="${NCCL_NVLS_ENABLE:-0}"

if ! { nvidia-smi -L || ls /dev/nvidia[0-9]*; } 2>/dev/null; then
  echo "skipped: there is no GPU"
  exit 77
fi
ldd "$folder/rank_program" | grep -E 'nccl|torch_cuda|cudart|not found' || true

status=0
TXTSUM_TEST_DEVICE=cuda timeout 300 "$folder/test_unit_parallel" --gtest_brief=1 \
  --gtest_filter='NcclCommunicator.*:DeviceCommunicator.*' || status=$?
timeout 900 python3 "$here/gpu_ranks_test.py" "$folder/rank_program" --bandwidth || status=$?
exit "$status"
