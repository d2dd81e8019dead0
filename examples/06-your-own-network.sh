#!/bin/sh
# The default network adapted to your own kind of scans, and watched on one that it does not learn from.
# Started again after it was cut off, it goes on where it was. For two processes put
# `torchrun --nproc-per-node 2 -m` before `mrikit unroll-train`.
# Usage: examples/06-your-own-network.sh SCANS HELD_BACK.h5 OUT [STEPS]
set -eu
mkdir -p "$3"
own=$3/own.safetensors

[ -d "$3/own.run" ] && resume=--resume || resume=
mrikit unroll-train $resume --init flat-small --validate "$2" --steps "${4:-1000}" "$1" "$own"

mrikit espirit --force "$2" "$3/maps.npy"
mrikit mvue --force "$2" "$3/maps.npy" "$3/reference.nii"
for model in flat-small "$own"; do
    mrikit flat-recon --force --accel 6 --model "$model" "$2" "$3/$(basename "$model" .safetensors).nii"
done
mrikit metrics "$3/reference.nii" "$3/flat-small.nii" "$3/own.nii"
