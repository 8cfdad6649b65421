#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# No system call of a program reaches the host's kernel: strace sees the address of every call
# that does, and a filter kills at the first from below 2^45, where the enclave is and nothing
# else. Both are tried on programs that they must catch.
# TIMEOUT: 240
. tests/apps/lib.sh
need strace /usr/bin/python3 busybox

LIMIT=0x200000000000            # LAYOUT_DEFAULT_SIZE, with the base at 0
high=$TMPDIR/only_high_calls
"${CC:-gcc}" -O1 tests/hostile/only_high_calls.c -o "$high" || exit 1
compile "$TMPDIR/low" -static -no-pie <<'END'
#include <unistd.h>
int main(void)
{
    return getppid() <= 0;
}
END
# The ways into a kernel that are not `syscall`: 20 is getpid, 39 is mkdir.
compile "$TMPDIR/gates" -static -no-pie <<'END'
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void caught(int number)
{
    _exit(42);
}
int main(int argc, char **argv)
{
    signal(SIGILL, caught);
    signal(SIGSEGV, caught);
    signal(SIGSYS, caught);
    if (argc > 1)
        __asm__ volatile("int $0x80" : : "a"(20) : "memory");
    else
        __asm__ volatile("mov %%rsp, %%rbp; sysenter" : : "a"(20) : "memory");
    return 7;
}
END

# traced WANTED COMMAND...: the addresses of its calls go to $TMPDIR/addresses
traced() {
    wanted=$1
    shift
    timeout -s KILL 100 strace -f -i -qq -o "$TMPDIR/trace" -e signal=none "$@" \
        >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    if grep -q 'ptrace\|not permitted' "$TMPDIR/err" && [ ! -s "$TMPDIR/trace" ]; then
        echo "strace may not trace here"
        exit 77
    fi
    [ $got -eq "$wanted" ] || { echo "traced: status $got: $*"; cat "$TMPDIR/err"; failed=1; }
    sed -n 's/^[0-9 ]*\[\([0-9a-f]*\)\] [a-z_0-9]*(.*/\1/p' "$TMPDIR/trace" >"$TMPDIR/addresses"
    lines=$(wc -l <"$TMPDIR/addresses")
    # With a 16-digit address, below 2^40 is: six zeros in front.
    low=$(grep -c '^000000' "$TMPDIR/addresses")
}

filtered() {
    timeout -s KILL 100 "$high" $LIMIT "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    if [ $got -eq 77 ]; then
        cat "$TMPDIR/err"
        exit 77
    fi
}

# ---- the controls: both must catch a program that lies below the limit
traced 0 "$TMPDIR/low"
[ "$low" -gt 3 ] || { echo "strace does not see calls from below the limit"; exit 1; }
filtered "$TMPDIR/low"
[ $got -eq 159 ] || { echo "the filter does not kill: status $got"; exit 1; }
filtered "$OCCLUM" version
[ $got -eq 0 ] || { echo "the filter kills the runtime: status $got"; exit 1; }

# clean WANTED PROGRAM ARGS...: inside, by both proofs
clean() {
    expected=$1
    shift
    traced "$expected" env -u TMPDIR "$OCCLUM" try --quiet --rw "$TMPDIR" "$@"
    if [ "$low" -ne 0 ] || [ "$lines" -lt 50 ]; then
        echo "$low of $lines calls came from the enclave: $*"
        grep '\[000000' "$TMPDIR/trace" | head -5
        failed=1
    fi
    filtered env -u TMPDIR "$OCCLUM" try --quiet --rw "$TMPDIR" "$@"
    if [ $got -ne "$expected" ]; then
        echo "filtered: status $got: $*"
        head -5 "$TMPDIR/err"
        failed=1
    fi
    echo "$lines calls of the runtime, none of the enclave: $1"
}

cat >"$TMPDIR/script.sh" <<'END'
for i in 1 2 3; do
    got=0
    trap 'got=$i' USR1
    kill -USR1 $$
    [ "$got" -eq "$i" ] || exit 1
done
echo text >"$1/written" && read -r line <"$1/written" && [ "$line" = text ] || exit 1
exit 5
END
cat >"$TMPDIR/script.py" <<'END'
import mmap, os, sys, threading, time
total = []
def work(n):
    time.sleep(0.01)
    total.append(sum(range(n)))
threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert len(total) == 4
name = sys.argv[1] + "/py"
with open(name, "w+b") as f:
    f.write(b"x" * 100000)
    f.flush()
    with mmap.mmap(f.fileno(), 0) as m:
        assert m[99999] == 120
pid = os.posix_spawn("/bin/true", ["true"], {})
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
sys.exit(5)
END
clean 5 "$(command -v bash)" "$TMPDIR/script.sh" "$TMPDIR"
clean 5 "/usr/bin/python3" "$TMPDIR/script.py" "$TMPDIR"
clean 0 "$(command -v busybox)" ls -l /etc
# Pipelines and subshells, once there is fork.
if env -u TMPDIR "$OCCLUM" try --quiet bash -c '(exit 3); [ $? -eq 3 ]' 2>/dev/null; then
    clean 6 "$(command -v bash)" -c 'for i in 1 2 3; do echo $i | cat; done | wc -l; (exit 6)'
fi
clean 0 "$TMPDIR/low"
clean 42 "$TMPDIR/gates"
clean 42 "$TMPDIR/gates" int80
if command -v go >/dev/null; then
    mkdir -p "$TMPDIR/go"
    cat >"$TMPDIR/go/main.go" <<'END'
package main

import "os"

func main() {
    c := make(chan int)
    for i := 0; i < 4; i++ {
        go func(i int) { c <- i }(i)
    }
    n := 0
    for i := 0; i < 4; i++ {
        n += <-c
    }
    os.Stdout.WriteString("done\n")
    os.Exit(n - 1)
}
END
    if (cd "$TMPDIR/go" && HOME=$TMPDIR GOFLAGS=-mod=mod CGO_ENABLED=0 \
        go build -o ../gohello main.go); then
        clean 5 "$TMPDIR/gohello"
    fi
    chmod -R u+w "$TMPDIR/go" "$TMPDIR/.cache" 2>/dev/null
fi
OCCLUM_EMU=trap
export OCCLUM_EMU
clean 5 "$(command -v bash)" "$TMPDIR/script.sh" "$TMPDIR"
clean 5 "/usr/bin/python3" "$TMPDIR/script.py" "$TMPDIR"
exit $failed
