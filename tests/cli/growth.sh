#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Processes that come and go leave nothing behind on the host: each lies at random places, whose
# page tables and EPCM are given back.
# TIMEOUT: 120
. tests/cli/lib/instance

busybox=$(command -v busybox) || skip "busybox is not here"
mkfifo "$work/go" "$work/said"
"$occlum" try --quiet "$busybox" sh -c '
    step() {
        n=0
        while [ $n -lt 500 ]; do
            /bin/true || exit 1
            n=$((n + 1))
        done
    }
    step; echo warm; read -r line
    step; step; echo done; read -r line' <"$work/go" >"$work/said" &
program=$!
exec 3>"$work/go" 4<"$work/said"

# KiB of memory in use
in_use() {
    awk '$1 == "Rss:" { print $2 }' "/proc/$program/smaps_rollup"
}
read -r line <&4
[ "$line" = warm ] || fail "it did not begin: $line"
before=$(in_use)
[ "${before:-0}" -gt 1000 ] || fail "no figure"
echo >&3
read -r line <&4
[ "$line" = done ] || fail "it did not go on: $line"
after=$(in_use)
echo >&3
wait $program || fail "status $?"
# A page a process would be 4000 KiB, and there were two.
[ $((after - before)) -lt 3000 ] || fail "1000 processes left $((after - before)) KiB"
echo "1000 processes left $((after - before)) KiB"
