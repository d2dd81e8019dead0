#!/bin/sh
# The main job: simulate a scan, estimate coil maps, make the reference, reconstruct it from one eighth of its
# lines, measure and look. Usage: examples/01-main-job.sh [FOLDER]
set -eu
out=${1:-demo}
mkdir -p "$out"
cd "$out"

mrikit phantom --force --coils 8 --matrix 320 --seed 7 scan.h5
mrikit espirit --force scan.h5 maps.npy
mrikit mvue --force scan.h5 maps.npy reference.nii
mrikit flat-recon --force --accel 8 scan.h5 out.nii

# For the picture: what the same samples show without a reconstruction.
mrikit mask --force --like scan.h5 --accel 8 mask.npy
mrikit undersample --force scan.h5 mask.npy under.npy
mrikit mvue --force under.npy maps.npy zero_filled.nii

mrikit metrics reference.nii zero_filled.nii out.nii
mrikit view --force --against reference.nii zero_filled.nii out.nii demo.png
echo "see $PWD/demo.png"
