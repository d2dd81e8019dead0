#!/bin/sh
# A folder of scans with `mrikit batch`: two processes, eight scans each before a process ends, so that torch and the
# network are loaded once for eight. What fails is tried once more and listed; started again, it does what is not done.
# On a cluster add `--executor slurm`. Usage: examples/09-whole-dataset.sh SCANS OUT
set -eu
mrikit batch --jobs 2 --group 8 --retries 1 --out "$2" "$1"/*.h5 -- flat-recon --accel 4 {in} {out}.nii
