#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Flink from Maven: a JobManager and a TaskManager that count words, with checkpoints; and a job
# that is killed and goes on from its last.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian procps
maven
jdk 17
version=$(sed -n "s|.*<version>\(.*\..*\)<.*|\1|p" "$here/pom.xml" | head -1)
lines=5000
[ -n "$small" ] && lines=100
awk -v n=$lines 'BEGIN { for (i = 0; i < n; i++)
    print "the quick brown fox", i % 1000, "jumps over the lazy dog", i % 17 }' >"$work/text"
make_instance
store
wanted="whole= job=1.15"
[ -n "$small" ] && wanted=
both "word count" "$wanted" /bin/java -cp "$(jars):$work/classes" WordCount "$work/text" \
    /tmp/occlum-demo-checkpoints
rm -rf /tmp/occlum-demo-checkpoints

# Killed in the middle and started again, the job goes on from a checkpoint; the sum is right.
killed() { # SIDE
    side=$1
    set -- "$side" /bin/java -cp "$(jars):$work/classes" Sum 3000 "$data/checkpoints"
    server "$@"
    until_ready grep -q '^read 1000$' "$work/$side.server"
    crash
    server "$@"
    until_ready grep '^in all' "$work/$side.server"
    grep '^from\|^in all' "$work/$side.server" | tee "$work/sum"
    grep -q '^from chk-' "$work/sum" || fail "$side: it did not go on from where it was"
    grep -q '^in all 4501500, read again [12]' "$work/sum" || fail "$side: the sum is wrong"
    stop_servers
}
say "$name: killed in the middle"
[ -n "$small" ] || killed native
killed inside
echo "($(wc -l <"$work/inside.out") words)"
finish
