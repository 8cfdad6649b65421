#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A host that lies, hundreds of times: with results, data, completions, clocks, addresses,
# entries and pages. The enclave may stop with a word, or wait for ever for what it is not
# given; it may not fail an assertion, fault, write where it was not asked to, or let a program
# see more than an error. LIAR_SEEDS: how many of each kind.
# TIMEOUT: 280
. tests/cli/lib/instance
cd - >/dev/null || exit 1
O=${BUILD_DIR:-build}
seeds=${LIAR_SEEDS:-16}

wraps=-Wl,--wrap=hostcall_serve,--wrap=host_enter,--wrap=machine_run
mkdir -p "$work/x/bin"
# shellcheck disable=SC2046,SC2086
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -I. -fPIE -pie tests/hostile/liar.c \
    $(cat "$O/lib/occlum.link") \
    $wraps -o "$work/x/bin/liar" || exit 1
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -static -pthread tests/hostile/lied_to.c \
    -o "$work/lied_to" || exit 1
kernel=$(cd "$O/lib" && pwd -P)/occlum-kernel.elf
OCCLUM_KERNEL=$kernel
export OCCLUM_KERNEL
liar=$work/x/bin/liar

new_instance inst
cp "$work/lied_to" image/bin/
yes 0123456789 | head -c 60000 >image/bin/data
build
mkdir scratch
# Not /dev/null: a lie about descriptors changes the mode of whatever stands at 0.
: >"$work/in"
"$liar" run /bin/lied_to >"$work/out" 2>&1 <"$work/in"
[ $? -eq 0 ] || { cat "$work/out"; fail "the program fails without a lie"; }

cd "$work/inst" 2>/dev/null || :
loop() { # id
for n in $(seq 1 20); do for s in 12 29 74 92 105 27 31; do
[ -e /tmp/lh.found ] && return
LIAR=control:$s timeout -s KILL 2 "$liar" run /bin/lied_to >"$work/out$1" 2>&1 <"$work/in"
if grep -q "kernel stopped: .*\(nothing_left|exception\|assert\)" $work/out$1; then cp $work/out$1 /tmp/lh.found; return; fi
done; done
}
for i in 1 2 3 4; do loop $i & done; wait
