#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs every demo that compares and writes the table of their results.
#   demos/all.sh BUILD_DIR TABLE.md
O=$1 table=$2
failed=0
rm -rf "$O"/demo/*.small
load=$(cut -d' ' -f1-3 /proc/loadavg)
for script in demos/*/run.sh; do
    name=$(basename "$(dirname "$script")")
    grep -q 'lib.sh' "$script" || continue
    sh "$script" "$O" && continue
    failed=1
    : >"$O/demo/$name/rows"
done
{
    echo '# Applications'
    echo
    echo 'Made by `make demos`: each program natively and inside by turns, medians of'
    echo "${DEMO_ROUNDS:-3} rounds, on $(nproc) CPUs ($(sed -n 's/^model name[^:]*: //p' \
        /proc/cpuinfo | head -1))."
    echo 'Their outputs were equal. The load on the machine before and after:' \
        "$load and $(cut -d' ' -f1-3 /proc/loadavg)."
    echo
    echo '| application | what | native | inside | inside / native | target |'
    echo '|---|---|---|---|---|---|'
    cat "$O"/demo/*/rows
} >"$table"
exit $failed
