# SPDX-License-Identifier: BSD-3-Clause
# Many small files and a sparse file of 200 GiB in a store, each step in an enclave of its own.
# FILES: how many; their directories must be found again after each start.
# TIMEOUT: 120
top=$PWD
. tests/cli/lib/instance
"${CC:-gcc}" -std=gnu17 -O1 -static "$top/tests/crash/large.c" -o large || exit 1
mkdir d native
files=${FILES:-3000}
for step in write check; do
    ./large $step native 100 || skip "this machine's own file system cannot"
done
for step in write check remove; do
    start=$(date +%s)
    "$occlum" try --quiet --store "$work/d" "$work/large" $step "$work/d" "$files" \
        >out 2>&1 </dev/null || fail "$step: $(tail -3 out)"
    echo "$files files, $step: $(($(date +%s) - start)) s," \
        "$(du -m d/store | cut -f1) MiB on the disk"
done
[ "$("$occlum" try --quiet --store "$work/d" /bin/ls "$work/d")" = "" ] || fail "not empty"
exit 0
