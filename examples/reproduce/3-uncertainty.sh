#!/bin/sh
# The claim: samples of the posterior differ where the reconstruction is wrong (arXiv 2108.01368). Told by the share of
# voxels that are within 1, 2 and 3 standard deviations of the truth, and by the correlation of spread and error.
#
# Full size: SAMPLES=48, the paper's number, and ACCEL=8 as well. Usage: examples/reproduce/3-uncertainty.sh OUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/data.sh" "$1"
cd "$1"

for scan in scans/*.h5; do
    name=$(basename "$scan" .h5)
    mkdir -p "$name"
    mrikit espirit --force "$scan" "$name/maps.npy"
    mrikit mvue --force "$scan" "$name/maps.npy" "$name/reference.npy"
    [ -e "$name/mean.npy" ] || mrikit langevin --resume --force --accel "${ACCEL:-4}" --samples "${SAMPLES:-8}" \
        --steps "${LEVELS:-100}" --reference "$name/reference.npy" --report "$name" --threads 1 "$scan" "$name/mean.npy"
done
python "$here/coverage.py" */report.json > table.txt
cat table.txt
