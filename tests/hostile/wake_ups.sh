#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Wake-ups that come early, late or twice change nothing but the time. Where they never come a
# program may hang; what has come then is right, and a signal ends it in order.
# TIMEOUT: 280
. tests/apps/lib.sh
O=${BUILD_DIR:-build}
seeds=${WAKER_SEEDS:-6}

mkdir -p "$TMPDIR/x/bin"
# shellcheck disable=SC2046
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -I. -fPIE -pie tests/hostile/waker.c \
    $(cat "$O/lib/occlum.link") \
    -Wl,--wrap=hostcall_serve,--wrap=machine_run,--wrap=host_thread_free \
    -o "$TMPDIR/x/bin/waker" || exit 1
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -static -pthread tests/hostile/woken.c \
    -o "$TMPDIR/woken" || exit 1
OCCLUM_KERNEL=$(cd "$O/lib" && pwd -P)/occlum-kernel.elf
export OCCLUM_KERNEL
"$TMPDIR/woken" >/dev/null || { echo "fails on Linux"; exit 1; }

run() {
    WAKER=$1 "$TMPDIR/x/bin/waker" try --quiet "$TMPDIR/woken" \
        >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null &
    pid=$!
}

# Waits so many tenths of a second for its end, at most.
ends_within() {
    left=$1
    while [ "$left" -gt 0 ] && kill -0 $pid 2>/dev/null; do
        left=$((left - 1))
        sleep 0.1
    done
    [ "$left" -gt 0 ] || return 1
    wait $pid
    got=$?
}

complain() {
    echo "$kind:$seed: $1"
    head -4 "$TMPDIR/err"
    failed=1
}

for kind in early late twice; do
    seed=0
    while [ $seed -lt "$seeds" ]; do
        seed=$((seed + 1))
        run $kind:$seed
        if ! ends_within 600; then
            kill -KILL $pid
            complain "hangs"
        elif [ $got -ne 0 ] || ! grep -q '^all came$' "$TMPDIR/out"; then
            complain "status $got"
        elif ! grep -q "^[1-9].* times $kind$" "$TMPDIR/err"; then
            complain "the host was honest"
        fi
    done
done

# A signal wakes all vCPUs once, and whoever insists is obeyed.
kind=never hung=0 seed=0
while [ $seed -lt 3 ]; do
    seed=$((seed + 1))
    run $kind:$seed
    if ! ends_within 15; then
        hung=$((hung + 1))
        got=none tries=0
        while [ $tries -lt 30 ] && kill -TERM $pid 2>/dev/null && ! ends_within 10; do
            tries=$((tries + 1))
        done
        if [ $got != 143 ]; then
            kill -KILL $pid 2>/dev/null
            complain "status $got after SIGTERM"
        fi
    elif [ $got -ne 0 ]; then
        complain "status $got"
    fi
done
echo "$hung of 3 hung without wake-ups"
exit $failed
