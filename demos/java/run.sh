#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Java with the JVM's default flags: compiled code, G1, 200 threads, an HTTP service, a child.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

jdk 17
make_instance
if [ -n "$small" ]; then
    both "a bit of all" "" /bin/java -cp "$work/classes" Work 1
    finish
fi
both "hello" "whole=1.3" /bin/java -cp "$work/classes" Hello
both "work" "compute=1.03 parallel=1.1 garbage=1.1 threads=1.1 http=1.1" \
    /bin/java -cp "$work/classes" Work 10
finish
