#!/bin/sh
# FLAT against Langevin sampling, both asking their networks equally often, which is what a reconstruction costs where
# networks are large. FLAT asks once a cascade. Sampling is shown with its calls spent in every way that there is: few
# levels or many, on one sample or on the mean of several; and by dds and heun, which are made for few.
#
# Full size: CALLS="4 16 64 256 1024 4096" and ACCEL=8 as well. Started again, it goes on where it was.
# Usage: examples/reproduce/5-flat-against-langevin.sh OUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/data.sh" "$1"
cd "$1"

set -- scans/*.h5 # of which the first is taken
mrikit espirit --force "$1" full-maps.npy
mrikit mvue --force "$1" full-maps.npy reference.npy
mrikit mask --force --like "$1" --accel "${ACCEL:-4}" --seed 1 mask.npy
mrikit undersample --force "$1" mask.npy under.h5
mrikit espirit --force under.h5 maps.npy
mrikit flat-recon --force --maps maps.npy --trajectory flat.npy --threads 1 under.h5 out.npy

sample() { # SAMPLER CALLS SAMPLES LEVELS
    out=$1-$2-$3.npy
    [ -e "$out" ] || mrikit langevin --resume --maps maps.npy --sampler "$1" --samples "$3" --steps "$4" --threads 1 \
        under.h5 "$out"
}
for calls in ${CALLS:-4 16 64 256}; do
    sample dds "$calls" 1 "$calls"
    sample heun "$calls" 1 $((calls / 2)) # two calls a level, but for the last
    for samples in 1 4 16; do
        levels=$((calls / samples - 1)) # and a call for the last step
        [ "$levels" -lt 3 ] || sample pula "$calls" "$samples" "$levels"
    done
done
mrikit metrics --json reference.npy flat.npy pula-*.npy dds-*.npy heun-*.npy > scores.json
python "$here/calls.py" scores.json calls.png > table.txt
cat table.txt
