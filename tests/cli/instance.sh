#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# new, init, status, help, and what is said when they are misused.
. tests/cli/lib/instance

"$occlum" new a || fail "new"
[ "$("$occlum" --version)" = "$("$occlum" version)" ] || fail "version"
refuses 1 'a: cannot be made: File exists' "$occlum" new a
refuses 2 'exactly one PATH' "$occlum" new
refuses 2 'exactly one PATH' "$occlum" new b c
refuses 1 'no instance here: Occlum.json' "$occlum" build
refuses 1 'no instance here' "$occlum" status
refuses 125 'no instance here' "$occlum" run /bin/true
refuses 2 '"frobnicate" is not a command' "$occlum" frobnicate
refuses 2 '"frobnicate" is not a command' "$occlum" help frobnicate

cd a || fail "cd"
[ "$("$occlum" status)" = initialized ] || fail "status after new"
for d in bin lib lib64 root host tmp dev proc etc sbin opt usr; do
    [ -d "image/$d" ] || fail "image/$d is missing"
done
[ "$(stat -c %a image/tmp)" = 1777 ] || fail "the mode of image/tmp"
refuses 1 'an instance is here already' "$occlum" init
refuses 125 'the instance is not built' "$occlum" run /bin/true
refuses 1 'the instance is not built' "$occlum" print mrenclave
refuses 2 'mrenclave, mrsigner' "$occlum" print
refuses 2 'mrenclave, mrsigner' "$occlum" print mrother
refuses 125 'the instance is not built' "$occlum" run
refuses 125 '--frob: not an option' "$occlum" run --frob /bin/true

mkdir ../b && cd ../b || fail "mkdir"
"$occlum" init || fail "init"
[ "$("$occlum" status)" = initialized ] || fail "status after init"
cmp Occlum.json ../a/Occlum.json || fail "new and init differ"
mkdir -p ../c/image && cd ../c || fail "mkdir"
refuses 1 'image is here already' "$occlum" init

for command in try new init build run print package status doctor version; do
    "$occlum" help "$command" | grep -q "^usage: occlum $command" || fail "help $command"
    "$occlum" "$command" --help | grep -q "^usage: occlum $command" || fail "$command --help"
    "$occlum" help | grep -q "^  $command " || fail "help does not list $command"
done
[ "$("$occlum" doctor | grep -c '^will use ')" = 1 ] || fail "doctor"
(ulimit -v 100000000 && "$occlum" doctor) | grep -A1 '^address space *no' |
    grep -q -- '-> ulimit -v unlimited' || fail "doctor does not see a limit"
if command -v python3 >/dev/null; then
    "$occlum" doctor --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
assert d["use"] in ("SGX hardware", "the emulator"), d
assert all(d[k]["state"] in ("yes", "no", "partly") for k in d if k != "use"), d
assert {"sgx", "edmm", "driver", "io_uring", "dispatch", "huge_pages"} <= set(d)' ||
        fail "doctor --json"
    (cd ../a && "$occlum" status --json) | python3 -c 'import json, sys
assert json.load(sys.stdin)["status"] == "initialized"' || fail "status --json"
fi
"$occlum" >out 2>err
[ $? -eq 2 ] && grep -q '^usage: occlum COMMAND' err || fail "no arguments"

refuses 127 'no-such-program: No such file' "$occlum" try no-such-program
refuses 127 '/no/such: No such file' "$occlum" try /no/such
refuses 126 '/etc: Permission denied' "$occlum" try /etc
refuses 125 'PROGRAM is missing' "$occlum" try --quiet
refuses 125 '--root /no/such: No such file' "$occlum" try --root /no/such /bin/true
refuses 125 '--rw .*passwd: not a directory' "$occlum" try --rw /etc/passwd /bin/true
refuses 125 'SGX_MODE: "FAST": must be HW or SIM' env SGX_MODE=FAST "$occlum" try /bin/true
refuses 125 'OCCLUM_LOG_LEVEL: "loud"' env OCCLUM_LOG_LEVEL=loud "$occlum" try /bin/true
refuses 125 'OCCLUM_KERNEL: /no/such' env OCCLUM_KERNEL=/no/such "$occlum" try /bin/true
exit 0
