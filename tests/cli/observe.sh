#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# --strace, --stats and OCCLUM_LOG_LEVEL: what is shown, what is chosen, and what an enclave
# that shall keep its secrets refuses.
. tests/cli/lib/instance
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }

traced() { # EXPRESSION COMMAND...: its trace is in $OUT.trace
    what=$1
    shift
    "$occlum" try --quiet --strace="$what" "$@" >"$work/out" 2>"$work/trace"
}
shows() {
    grep -q -e "$1" "$work/trace" || {
        tail -40 "$work/trace"
        fail "not in the trace: $1"
    }
}
hides() {
    ! grep -q -e "$1" "$work/trace" || fail "in the trace: $1"
}

traced all python3 -c '
import os, socket, signal, sys
r, w = os.pipe2(os.O_CLOEXEC)
os.write(w, b"a \"quoted\" line\n"); os.read(r, 100)
try: os.open("/not/here", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
except OSError: pass
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("127.0.0.1", 0))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
os.kill(os.getpid(), signal.SIGUSR1)
pid = os.fork()
if not pid: os._exit(7)
os.waitpid(pid, 0)
os.kill(os.getpid(), signal.SIGKILL)
'
[ $? -eq 137 ] || fail "the status of what was killed"
shows '^\[2\] [0-9:]*\.[0-9]* pipe2(\[[0-9]*, [0-9]*\], O_CLOEXEC) = 0 <0\.[0-9]*>$'
shows 'write([0-9]*, "a \\"quoted\\" line\\n", 16) = 16 <'
shows 'read([0-9]*, "a \\"quoted\\" line\\n", 100) = 16 <'
shows 'openat(AT_FDCWD, "/not/here", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0640) = -1 ENOENT <'
shows 'socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0) = [0-9]* <'
shows 'bind([0-9]*, 127\.0\.0\.1:0, 16) = 0 <'
shows 'rt_sigaction(SIGUSR1, {SIG_IGN, .*}, 8) = 0 <'
shows 'mmap(NULL, [0-9]*, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x'
shows 'kill(2, SIGUSR1) = 0 <'
shows '^\[[0-9]*\] .* exit_group(7)$'
shows '^\[[0-9]*\] .* +++ exited with 7 +++$'
shows '^\[2\] .* wait4([0-9]*, \[exited 7\], 0, NULL) = [0-9]* <'
shows '^\[2\] .* +++ killed by SIGKILL +++$'

traced '%process,getuid' /bin/sh -c 'id -u'
shows 'execve("[a-z/]*/id", \["id", "-u"\]'
hides 'openat\|mmap\|read('
traced '!%file,%memory' /bin/cat /etc/hostname
shows 'read('
hides 'openat\|mmap\|execve'
traced nosuchcall /bin/true && fail "an unknown system call is accepted"
shows '"nosuchcall" is not a system call'

"$occlum" try --quiet --stats /bin/cat /etc/hostname >"$work/out" 2>"$work/trace"
shows '^ *[0-9]*\.[0-9]* *[0-9]* *[0-9]* *[0-9]*  openat$'
shows '^task switches: [1-9]'
shows '^page cache: [1-9]'
shows '^exits: [1-9][0-9]* host calls, .* OPENAT [1-9]'

OCCLUM_LOG_LEVEL=off,mm=debug "$occlum" try --quiet /bin/sh -c '/bin/true; :' 2>"$work/trace"
shows 'system calls trapped'
OCCLUM_LOG_LEVEL=debug,mm=off "$occlum" try --quiet /bin/sh -c '/bin/true; :' 2>"$work/trace"
hides 'system calls trapped'
OCCLUM_LOG_LEVEL=mn=debug "$occlum" try --quiet /bin/true 2>"$work/trace"
shows 'mn=debug.*must be'

# The configuration has the last word: the request is refused here, and inside as well.
new_instance closed
sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
build
"$occlum" run --strace /bin/true 2>"$work/trace" && fail "it shows what it shall not"
shows 'does not show what its programs do'
exit 0
