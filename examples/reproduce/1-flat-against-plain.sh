#!/bin/sh
# The claim: cascades whose steps are those of a flow, aligned with its path, are better than as many with learned
# steps (FLAT, arXiv 2512.03020). Both networks are the same but for that, and so is their training.
#
# Full size: STEPS=6000 CROP=64, and once more with another SEED; three seeds of 700 steps are in docs/flat.md.
# Started again, it goes on where it was. Usage: examples/reproduce/1-flat-against-plain.sh OUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/data.sh" "$1"
cd "$1"

# From least squares and not, as the default weights do, from the wavelet-regularised image: there is more to learn,
# and what the cascades are worth shows sooner.
cat > network.json <<'JSON'
{"architecture": "flat", "config": {"n_unrolls": 4, "n_start": 0}}
JSON
learn() { # WEIGHTS OPTIONS...
    weights=$1
    shift
    [ -e "$weights" ] || mrikit unroll-train --resume --config network.json --steps "${STEPS:-300}" --crop "${CROP:-32}" \
        --learning-rate 1e-3 --seed "${SEED:-0}" --threads 1 "$@" train "$weights"
}
learn flat.safetensors
learn plain.safetensors --mode free --align none

mrikit evaluate --resume --methods zf,l2,flat=flat.safetensors,flat=plain.safetensors --accel "${ACCEL:-4,8,12}" \
    --mask-kind random --axis x,y --threads 1 --out results scans/*.h5 > table.txt
python "$here/cascades.py" results >> table.txt
cp results/figures/cascades.png .
cat table.txt
