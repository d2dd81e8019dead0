#!/bin/sh
# What the scripts beside it work on, into OUT: train/, scans/ of subjects that are not in it, and unseen/, images to
# choose lines for. They are links to the real data in $MRIKIT_DATA, where that is there, and else simulated anatomy.
# SCANS="brain_axial_8ch brain_lowres_16ch head_sagittal_1ch" are all there are. Usage: examples/reproduce/data.sh OUT
set -eu
data=${MRIKIT_DATA:-../shared/data}
matrix=${MATRIX:-192} # of simulated scans; with less there are too few lines for R = 12
mkdir -p "$1"
[ ! -e "$1/scans" ] || exit 0

mkdir -p "$1/scans.part"
if [ -d "$data/kspace" ]; then
    echo "on the real scans of $data" >&2
    data=$(cd "$data" && pwd)
    cd "$1"
    ln -sfn "$data/images/permissive" train
    ln -sfn "$data/images/research" unseen
    for scan in ${SCANS:-brain_axial_8ch brain_lowres_16ch}; do
        ln -sf "$data/kspace/$scan.h5" scans.part
    done
else
    echo "there is no $data/kspace: on simulated anatomy" >&2
    cd "$1"
    mkdir -p train
    mrikit phantom --force --matrix "$matrix" --slices 8 --anatomy random --seed 1 train/simulated.h5
    for seed in 2 3; do
        mrikit phantom --force --matrix "$matrix" --noise 0.005 --seed "$seed" "scans.part/brain_$seed.h5"
    done
    ln -sfn scans unseen
fi
mv scans.part scans # last, so that what was cut off is made again
