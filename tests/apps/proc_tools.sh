#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The tools that live on /proc and /sys: each runs, says nothing on standard error, and finds
# itself.
. tests/apps/lib.sh
python=/usr/bin/python3

# finds PATTERN COMMAND ARGS...
finds() {
    pattern=$1
    shift
    command -v "$1" >/dev/null || return 0
    try "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    rc=$?
    if [ $rc -ne 0 ] || [ -s "$TMPDIR/err" ] || ! grep -qE "$pattern" "$TMPDIR/out"; then
        echo "$*: status $rc, or no /$pattern/ in"
        head -5 "$TMPDIR/out" "$TMPDIR/err"
        failed=1
    fi
}

finds "^$(id -un) +2 .* ps aux$" ps aux
finds ' ps -efL$' ps -efL
finds ' top$' top -b -n1
finds '^Mem: +[0-9]+ +[0-9]+ +[0-9]' free
finds 'load average' uptime
finds ' r +b +swpd' vmstat
finds '^lsof .* cwd +DIR' lsof
finds '^CPU\(s\): +[1-9]' lscpu
finds '^/ +overlay' findmnt
finds '\[stack\]|\[ stack \]' sh -c 'pmap $$'
if $python -c 'import psutil' 2>/dev/null; then
    cat >"$TMPDIR/all.py" <<'END'
import psutil
p = psutil.Process()
for name in """name exe cmdline cwd environ username status create_time cpu_times cpu_affinity
    memory_info memory_full_info memory_maps num_fds open_files num_threads threads io_counters
    num_ctx_switches nice uids gids terminal ppid parent children cpu_num""".split():
    getattr(p, name)()
assert p.exe() == "/usr/bin/python3" or p.exe().startswith("/usr/bin/python3."), p.exe()
assert p.memory_info().rss > 1 << 20
assert psutil.pid_exists(p.pid) and p.pid in psutil.pids()
for name in """cpu_count cpu_times cpu_stats getloadavg virtual_memory swap_memory
    disk_partitions disk_io_counters net_io_counters boot_time users""".split():
    getattr(psutil, name)()
assert psutil.cpu_count(logical=False) == psutil.cpu_count()
print("all read")
END
    finds '^all read$' $python "$TMPDIR/all.py"
fi
exit $failed
