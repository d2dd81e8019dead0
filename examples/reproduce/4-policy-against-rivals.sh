#!/bin/sh
# The claim: a flow policy, which looks at the low frequencies first, chooses better lines than random masks, fixed ones
# and LOUPE and DPS, which are learned (arXiv 2606.00078). All under the one reconstructor that the policy came with.
#
# Full size: ACCEL=4,8 STEPS=500 LIMIT=64 POLICIES=centre,half,random,variable-density,energy,loupe,dps,adps,greedy,flow
# Started again, it goes on where it was. Usage: examples/reproduce/4-policy-against-rivals.sh OUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/data.sh" "$1"
cd "$1"

mrikit policy compare --resume --accel "${ACCEL:-4}" --steps "${STEPS:-60}" --limit "${LIMIT:-24}" --threads 1 \
    ${POLICIES:+--policies "$POLICIES"} --train train --out compared unseen > table.txt
cp compared/scores.png .
cat table.txt
