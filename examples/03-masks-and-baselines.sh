#!/bin/sh
# One scan, one mask, three reconstructions side by side. Usage: examples/03-masks-and-baselines.sh SCAN.h5 FOLDER
set -eu
scan=$(realpath "$1")
mkdir -p "$2"
cd "$2"

mrikit espirit --force "$scan" reference_maps.npy
mrikit mvue --force "$scan" reference_maps.npy reference.nii

mrikit mask --force --like "$scan" --accel 4 --kind poisson --seed 1 mask.npy
mrikit undersample --force "$scan" mask.npy under.h5
mrikit espirit --force under.h5 maps.npy # from the acquired centre, as in a real accelerated scan
mrikit pics --force --reg l2 under.h5 maps.npy l2.nii
mrikit pics --force --reg wavelet under.h5 maps.npy wavelet.nii
mrikit flat-recon --force --maps maps.npy under.h5 flat.nii

mrikit metrics reference.nii l2.nii wavelet.nii flat.nii
mrikit view --force --against reference.nii l2.nii wavelet.nii flat.nii comparison.png
