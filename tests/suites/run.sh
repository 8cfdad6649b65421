#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make suites: runs other people's tests natively and inside and writes docs/results/suites.md.
#   tests/suites/run.sh BUILD_DIR [SUITE...]      CASES="a b" picks cases
O=$1
shift
export O
mkdir -p "$O/suites"
for s in "${@:-python bash busybox stress_ng store posix go libuv libevent}"; do
    for suite in $s; do
        sh tests/suites/"$suite".sh
    done
done

# What is expected to fail inside, and why: "suite case reason".
excepted() {
    sed -n "s/^$1 $2 //p" tests/suites/exceptions | head -1
}

{
    echo "# Other people's test suites"
    echo
    echo "Unmodified, from Debian (Go: its own); written by \`make suites\` from what ran on this machine. A case"
    echo "counts as many tests as it has; those that fail natively, too, are not counted."
    echo
    echo "| suite | version | cases | run | natively passed | inside passed | excepted cases |"
    echo "|---|---|---|---|---|---|---|"
    for f in "$O"/suites/*.tsv; do
        s=$(basename "$f" .tsv)
        [ -s "$f" ] || continue
        e=0
        for c in $(cut -f1 "$f"); do [ -z "$(excepted "$s" "$c")" ] || e=$((e + 1)); done
        awk -F'\t' -v s="$s" -v v="$(cat "$O/suites/$s/version" 2>/dev/null)" -v e=$e '
            { n += $2; i += $3 < $2 ? $3 : $2; if ($2) run++ }
            END { printf "| %s | %s | %d | %d | %d | %d | %d |\n", s, v, NR, run, n, i, e }' "$f"
    done
    echo
    echo "Cases in which fewer pass inside:"
    echo
    echo "| suite | case | natively | inside | reason |"
    echo "|---|---|---|---|---|"
    for f in "$O"/suites/*.tsv; do
        s=$(basename "$f" .tsv)
        while IFS='	' read -r c n i; do
            [ "$i" -ge "$n" ] || echo "| $s | $c | $n | $i | $(excepted "$s" "$c") |"
        done <"$f"
    done
} >docs/results/suites.md
cat docs/results/suites.md
