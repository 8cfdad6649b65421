#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Flink from Maven: a JobManager and a TaskManager that count words, with checkpoints.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

maven
jdk 17
version=$(sed -n "s|.*<version>\(.*\..*\)<.*|\1|p" "$here/pom.xml" | head -1)
lines=5000
[ -n "$small" ] && lines=100
awk -v n=$lines 'BEGIN { for (i = 0; i < n; i++)
    print "the quick brown fox", i % 1000, "jumps over the lazy dog", i % 17 }' >"$work/text"
make_instance
wanted="whole= job=1.15"
[ -n "$small" ] && wanted=
both "word count" "$wanted" /bin/java -cp "$(jars):$work/classes" WordCount "$work/text" \
    /tmp/occlum-demo-checkpoints
rm -rf /tmp/occlum-demo-checkpoints
echo "($(wc -l <"$work/inside.out") words)"
finish
