#!/bin/bash
# The SpaceNet 4 challenge's train.sh: a model for test.sh, from pictures with footprints.
#
#   train.sh DATA [OPTION OF 'snet4 train']...
#
# DATA is the challenge's training folder in either layout. Chips, checkpoints and the log go to
# $SNET4_OUT/training (/out/training); a run that was interrupted goes on with --resume. The
# model, with thresholds fitted on places that were held out, is $SNET4_OUT/spacenet4.safetensors.
set -euo pipefail

if (($# < 1)); then
    echo "train.sh: give the folder of pictures with footprints: train.sh DATA" >&2
    exit 2
fi
data=$1
shift
if [[ $(snet4 doctor --json) == *'"torch": "not installed"'* ]]; then
    echo "train.sh: this image only computes, without torch; the one that trains is made by" \
        "'docker build -t snet4:training --build-arg EXTRAS=openvino,cluster,train .'" >&2
    exit 4
fi
if [[ ! -d $data ]]; then
    echo "train.sh: $data is no folder; mount the challenge's data, and name its folder here." >&2
    exit 5
fi

work=${SNET4_OUT:-/out}
run=$work/training
recipe=${SNET4_RECIPE:-/opt/snet4/recipes/spacenet4.toml}

snet4 train "$recipe" --out "$run" --set "data.pictures=$data" "$@"

# What OpenVINO needs goes into the same file; only where the graph of another recipe's encoder does
# not follow from the weights, it becomes a file beside it.
model=$work/spacenet4.safetensors
snet4 calibrate "$run/model.safetensors" "$data" --places "$run/chips/held-out.txt" \
    --output "$model" --overwrite
snet4 models export "$model" --overwrite
