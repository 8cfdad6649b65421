#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs the demos of list.txt and writes the table of their results, and README.md's from it.
#   demos/all.sh BUILD_DIR TABLE.md [NAME...]       all of them unless named
O=$1 table=$2
shift 2
failed=0
list=demos/list.txt
[ $# -gt 0 ] || set -- $(cut -d'|' -f1 $list)
rm -rf "$O"/demo/*.small
load=$(cut -d' ' -f1-3 /proc/loadavg)
for name in "$@"; do
    sh "demos/$name/run.sh" "$O" && continue
    failed=1
    mkdir -p "$O/demo/$name" && : >"$O/demo/$name/rows"
done
# What was not run now keeps its rows.
rows_of() {
    case " $chosen " in
    *" $1 "*) cat "$O/demo/$1/rows" ;;
    *) grep "^| $1 " "$table" ;;
    esac
}
chosen=$*
{
    echo '# Applications'
    echo
    echo 'Made by `make demos`: each program natively and inside by turns, their outputs equal.'
    echo "Last: $chosen; medians of ${DEMO_ROUNDS:-3} on $(nproc) CPUs" \
        "($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), load of the machine" \
        "$load before, $(cut -d' ' -f1-3 /proc/loadavg) after."
    echo
    echo '| application | what | native | inside | inside / native | target |'
    echo '|---|---|---|---|---|---|'
    for name in $(cut -d'|' -f1 $list | sort); do
        rows_of "$name"
    done
    # What is said below the table stays.
    awk '/^\| application/ { seen = 1 } seen && !/^\|/ { past = 1 } past' "$table"
} >"$O/demo/table"
cp "$O/demo/table" "$table"

# README.md: a line an application, with its version and all its ratios.
line() { # NAME TITLE FROM WHAT
    version=$(sed -n "s/^| $1 \([^|]*\) |.*/\1/p" "$table" | head -1)
    figures=$(sed -n "s/^| $1 //p" "$table" | awk -F' *[|] *' '
        { sub(/: whole$/, "", $2); sub(/^work: /, "", $2) }
        $2 ~ /memory$/ { memory = memory (memory ? ", " : "") $5; next }
        { speed = speed (speed ? "; " : "") $2 " " $5 }
        END { print speed " | " memory }')
    echo "| [$2](demos/$1) | $version | $3 | $4 | $figures |"
}
{
    sed '/^| application/q' README.md
    echo '|---|---|---|---|---|---|'
    while IFS='|' read -r name title from what; do
        line "$name" "$title" "$from" "$what"
    done <$list
    awk '/^\| application/ { seen = 1; next } seen && !/^\|/ { past = 1 } past' README.md
} >"$O/demo/README.md"
cp "$O/demo/README.md" README.md
exit $failed
