#!/bin/sh
# No files in between: every stage works on a slice while the next one still works on the slice before.
# Usage: examples/02-one-pipe.sh SCAN.h5 PICTURE.png
set -eu
mrikit espirit "$1" - | mrikit mvue "$1" - - | mrikit view --force - "$2"
