#!/usr/bin/env bash
# One GPU for ten minutes, without a network: check the attention kernels, then train cwm-mini.
#
#   benchmarks/gpu_card.sh pack [RECIPE.toml]   # where there is time: makes gpu-card/packed.tar.xz and wheels
#   benchmarks/gpu_card.sh run OUT              # where the GPU is: 90 s of checks, MINUTES (5) of training
#
# `pack` records, tokenizes and packs the programs of model/training/gpu-data.toml, an hour of one core, into at
# most 60 MiB. Take the checkout and gpu-card/ along. `run` needs torch, transformers, numpy, pyarrow, click and
# rich there; the few others come as wheels for the Python that PYTHON_VERSION names (3.12). It leaves in OUT:
# kernels.txt, train.txt, log.jsonl.gz and model.tar (weights of at most 16 MB, with all that loads them).
# PYTHON (python3) runs everything; RECIPE and EXTRA change the recipe and add options, for trying it on a CPU.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
CARD=${CARD:-gpu-card}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
most=$((60 * 1024 * 1024))

pack() {
    local recipe=${1:-model/training/gpu-data.toml}
    rm -rf "$CARD" && mkdir -p "$CARD/wheels"
    "$PYTHON" -m cwm_trace dataset build "$recipe" -o "$CARD/data" --workers "${WORKERS:-1}"
    "$PYTHON" -m cwm_trace dataset pack "$CARD/data" -o "$CARD/packed" --length 2048 \
        --tokenizer model/pretrained/cwm-mini
    # what only tells where a token comes from is left here
    tar -C "$CARD" -c --exclude documents.jsonl packed | xz -6 -T1 > "$CARD/packed.tar.xz"
    rm -r "$CARD/data" "$CARD/packed"
    "$PYTHON" -m pip download -q --only-binary=:all: --python-version "${PYTHON_VERSION:-3.12}" \
        -d "$CARD/wheels" 'pydantic>=2.7' 'jsonlines>=4'
    local size
    size=$(du -sb "$CARD" | cut -f1)
    du -ab "$CARD" | sort -n
    [ "$size" -le "$most" ] || { echo "$CARD has $size bytes, and $most are allowed: lower the counts" >&2; exit 1; }
}

run() {
    local out=${1:?name a folder for the results}
    mkdir -p "$out" && out=$(realpath "$out")
    local work
    work=$(mktemp -d)
    trap "rm -rf '$work'" EXIT  # the name is gone by then
    for wheel in "$CARD"/wheels/*.whl; do
        [ -e "$wheel" ] && "$PYTHON" -m zipfile -e "$wheel" "$work/site"
    done
    export PYTHONPATH=$PYTHONPATH:$work/site  # behind what is installed
    timeout "${CHECK_SECONDS:-90}" "$PYTHON" -m cwm_trace.model.attention.check > "$out/kernels.txt" 2>&1 \
        || echo "exit code $?" >> "$out/kernels.txt"
    "$PYTHON" -c "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')" \
        "$CARD/packed.tar.xz" "$work"
    local recipe=$PWD/${RECIPE:-model/training/cwm-mini-gpu.toml}
    # shellcheck disable=SC2086  # EXTRA is words
    (cd "$work" && "$PYTHON" -m cwm_trace train "$recipe" -o run --minutes "${MINUTES:-5}" ${EXTRA:-}) \
        > "$out/train.txt" 2>&1 || echo "exit code $?" >> "$out/train.txt"
    tail -n 3 "$out/train.txt"
    gzip -c "$work/run/log.jsonl" > "$out/log.jsonl.gz"
    tar -C "$work/run" -cf "$out/model.tar" model
    ls -l "$out"
}

"${1:?pack or run}" "${@:2}"
