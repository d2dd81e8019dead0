#!/bin/sh
# Every .h5 of a folder, one after the other; finished ones are skipped, so it can be started again at any time.
# A scan that fails does not stop the others; the exit code is then 8, mrikit's own for this.
# Usage: examples/05-a-folder-of-scans.sh SCANS OUT
set -eu
mkdir -p "$2"
code=0
for scan in "$1"/*.h5; do
    out=$2/$(basename "$scan" .h5).nii
    [ -e "$out" ] || mrikit flat-recon --accel 4 "$scan" "$out" || { echo "$scan: exit $?" >&2; code=8; }
done
exit "$code"
