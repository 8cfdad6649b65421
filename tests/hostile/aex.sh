#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An AEX after every instruction of programs and of the kernel that serves them, answered by
# ERESUME or by an entry for a tick; and larger programs under interrupts at random times. All
# must end as natively. Ticks that come ever faster would leave the kernel no time for more.
# TIMEOUT: 1500
. tests/apps/lib.sh

"${CC:-gcc}" -nostdlib -static -no-pie -fno-stack-protector -mgeneral-regs-only -O1 \
    tests/hostile/aex_target.c -o "$TMPDIR/target" || exit 1

# stepped OPTIONS LEAST_STEPS LEAST_TICKS [ARGUMENT]: OCCLUM_EMU, what makes it no empty
# success, and the target's
stepped() {
    "$TMPDIR/target" $4 >"$TMPDIR/wanted" || { cat "$TMPDIR/wanted"; exit 1; }
    OCCLUM_EMU=$1,count timeout -s KILL 700 "$OCCLUM" try --quiet "$TMPDIR/target" $4 \
        >"$TMPDIR/got" 2>"$TMPDIR/err"
    got=$?
    steps=$(awk '/emulator stepped/ { s += $5; t += $8 } END { print s + 0, t + 0 }' \
        "$TMPDIR/err")
    echo "$1: steps and ticks: $steps"
    if [ $got -ne 0 ] || ! cmp -s "$TMPDIR/got" "$TMPDIR/wanted"; then
        echo "$1: status $got"
        diff "$TMPDIR/wanted" "$TMPDIR/got"
        head -5 "$TMPDIR/err"
        failed=1
    elif [ "${steps% *}" -lt "$2" ] || [ "${steps#* }" -lt "$3" ]; then
        echo "$1: too few"
        failed=1
    fi
}
stepped late,step,tick:1000000 200000 0
stepped late,step,tick:200,seed:$$ 200000 500
stepped late,step,tick:500,trap,strict,seed:2 200000 100
# Parent and child by fork: switches, signals, the exchange of their memories.
stepped late,step,tick:500,seed:$$ 500000 300 processes

for seed in 1 2 $$; do
    OCCLUM_EMU=burst:$seed
    export OCCLUM_EMU
    stepped burst:$seed 500 0
    same bash -c 'n=0; for i in {1..20000}; do n=$((n + i)); done; echo $n'
    same /usr/bin/python3 -c '
import hashlib, signal, threading, time
hits, sums = [], []
signal.signal(signal.SIGALRM, lambda *a: hits.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
def work(n):
    h = hashlib.sha256()
    for i in range(500):
        h.update(bytes([n, i % 256]) * 400)
    sums.append(h.hexdigest())
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads: t.start()
for t in threads: t.join()
end = time.monotonic() + 5
while not hits and time.monotonic() < end:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
x = 1.0
for i in range(1, 3000): x = x * 1.0001 + 1.0 / i
print(bool(hits), sorted(sums), x)'
done
exit $failed
