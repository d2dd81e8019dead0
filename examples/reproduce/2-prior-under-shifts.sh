#!/bin/sh
# The claim: a score prior, which has seen no masks while it was trained, loses least where masks change (arXiv
# 2108.01368): their direction, their kind, and R = 12.
#
# The networks that ship have been trained on random, equispaced, gaussian and Poisson masks of R = 2 to 12, so to them
# only radial masks are new. STEPS=6000 adds a FLAT that has seen none but equispaced lines, of R = 4.
# Lines along y are the usual ones: along x the real scans have too few for R = 12.
#
# Full size: SAMPLES=16 STEPS=6000 METHODS=l2,wavelet,tv,modl,varnet,flat,langevin,convdecoder
# Started again, it goes on where it was. Usage: examples/reproduce/2-prior-under-shifts.sh OUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/data.sh" "$1"
cd "$1"

methods=${METHODS:-wavelet,modl,varnet,flat,langevin}
if [ "${STEPS:-0}" -gt 0 ]; then
    [ -e one-mask.safetensors ] || mrikit unroll-train --resume --mask-kind equispaced --accel 4 --steps "$STEPS" \
        --learning-rate 1e-3 --threads 1 train one-mask.safetensors
    methods=$methods,flat=one-mask.safetensors
fi

under() { # OPTIONS: conditions, of which every combination is tried
    mrikit evaluate --resume --methods "$methods" --samples "${SAMPLES:-2}" --threads 1 --out results "$@" scans/*.h5
}
under --mask-kind equispaced --accel 4 --axis y,x > /dev/null
under --mask-kind random,poisson,radial --accel 4 --axis y > /dev/null
under --mask-kind equispaced,poisson --accel 12 --axis y > table.txt
python "$here/shifts.py" results shifts.png >> table.txt
cat table.txt
