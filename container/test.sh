#!/bin/bash
# The SpaceNet 4 challenge's test.sh: footprints of all pictures in a folder, as one table.
#
#   test.sh DATA OUT.csv [OPTION OF 'snet4 run']...
#
# DATA is a folder in either layout of the challenge; of a folder in another layout, all rasters are
# taken. Computed by the model that train.sh left in $SNET4_OUT (/out), else by the default one.
set -euo pipefail

if (($# < 2)); then
    echo "test.sh: give the folder of pictures and the table to write: test.sh DATA OUT.csv" >&2
    exit 2
fi
data=$1 table=$2
shift 2
if [[ ! -d $data ]]; then
    echo "test.sh: $data is no folder; mount the challenge's data, and name its folder here." >&2
    exit 5
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each picture lies there as several products; the pan-sharpened one is read.
find -L "$(realpath "$data")" -type f -iname '*.tif' \
    \( -path '*/Pan-Sharpen/*' -o -path '*/PS-RGBNIR/*' \) > "$work/pictures.txt"
pictures=$data
if [[ -s $work/pictures.txt ]]; then
    pictures=@$work/pictures.txt
fi

trained=${SNET4_OUT:-/out}/spacenet4.safetensors
model=default
if [[ -f $trained ]]; then
    model=$trained
    echo "test.sh: $trained computes, which train.sh left" >&2
fi

# The layer is of no use to the challenge: its table has four columns, a .csv layer has more.
snet4 run "$pictures" --model "$model" --output "$work/footprints.gpkg" --csv "$table" \
    --overwrite "$@"
