#!/usr/bin/env bash
# From a fresh clone to a fine-tuned summarizer, scored on real documents, in about 20 minutes on two cores.
#
# usage: scripts/quickstart.sh [--minutes N]
#   --minutes N   train for N minutes (default: 5)
#
# Sets up (scripts/setup.sh), builds the program, gets real data (Debian's package descriptions), fine-tunes the embedded
# model, summarizes and scores 400 test documents, and shows what came out. Needs x86-64, 2 cores, 4 GiB of memory,
# 5 GiB of disk, a network for about 800 MB of downloads, and root or sudo for packages that are missing. What is done
# is not done again: a second run starts where the first one stopped.
#
# examples: scripts/quickstart.sh
#           scripts/quickstart.sh --minutes 30
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

minutes=5
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --minutes)
      [[ "${2:-}" =~ ^[0-9]+(\.[0-9]+)?$ && ! "$2" =~ ^0*(\.0*)?$ ]] ||
        fail "--minutes needs a number above 0" "For example: scripts/quickstart.sh --minutes 5"
      minutes=$2
      shift
      ;;
    *) fail "unknown argument $1" "scripts/quickstart.sh --help lists what there is." ;;
  esac
  shift
done

cd "$repository"
config=configs/quickstart.yaml
model=configs/models/txtsum-mini
data=data/debian_synopses
txtsum=build/release/txtsum
# A run of another length is another run, with a folder of its own.
run=runs/quickstart$([ "$minutes" = 5 ] || printf -- '-%s-minutes' "$minutes")
before=runs/quickstart-before
started=$SECONDS

has_scores() { grep -qs '"predict_rouge1"' "$1/predict_results.json"; }

stage 1/7 "Check the machine"
if [ ! -x $txtsum ]; then require_disk . 5000 "the quickstart"; fi
scripts/setup.sh --check

stage 2/7 "Set up: packages and LibTorch" "about 3 minutes, 2 of them downloads at 10 MB/s; nothing the second time"
scripts/setup.sh

stage 3/7 "Build $txtsum" "at most 8 minutes; seconds the second time"
scripts/build.sh release --no-setup

stage 4/7 "Get real data: about 60,000 package descriptions and their one-line synopses" "half a minute"
if [ -s $data/train.jsonl ] && [ -s $data/validation.jsonl ] && [ -s $data/test.jsonl ]; then
  say "all there: $data"
else
  scripts/data/debian_synopses.sh $data
fi

stage 5/7 "Fine-tune $model, then summarize and score 400 test documents" "$minutes minutes, and about 2 more"
if has_scores "$run"; then
  say "all there: $run (remove that folder to train again)"
else
  $txtsum train $config "train.max_minutes=$minutes" "run.output=$run"
fi

stage 6/7 "The same documents with the model before fine-tuning, and with their first eight words" "about 2 minutes"
if has_scores $before; then
  say "all there: $before"
else
  $txtsum evaluate $config --model $model --split test "run.output=$before"
fi
python3 scripts/data/first_words.py "$run/predictions.jsonl" $data/test.jsonl "$run/first_words"
$txtsum score "$run/first_words/predictions.txt" "$run/first_words/references.txt" >"$run/first_words/scores.json"

stage 7/7 "What came out"
python3 scripts/data/show_results.py "$run" $before "$run/first_words/scores.json" $data/test.jsonl

cat <<END

Done after $(duration $((SECONDS - started))). The report is $run/report.json, the model $run/model.

One page of HTML on it, with curves, scores and costs:

  $txtsum report $run

A text of your own:

  echo "GNU hello prints a friendly greeting. It is the example of a well-made GNU program." |
    $txtsum summarize --model $run/model

This model has 8.9 million parameters. It is good for what it was trained on, one line about a piece of software, and for
trying out the program; it does not know about news or conversations. A real model's summary of an article takes two
commands, the first of which downloads 1.6 GB (hf comes with: pip install huggingface_hub):

  hf download facebook/bart-large-cnn
  $txtsum summarize --model facebook/bart-large-cnn --input-format document --input ARTICLE.txt

Fine-tuning such a model on your own documents: docs/quickstart.md.
END
