#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The sanitizer build notices what it is there for: each fault, made on purpose in the kernel,
# stops it with the right words.  make MODE=san check T=cli/san
if ! grep -q __asan_register_globals "$BUILD_DIR/lib/occlum-kernel.elf"; then
    echo "not a sanitizer build (MODE=san)"
    exit 77
fi

expect() {
    text=$(SAN_TEST=$1 timeout 30 "$OCCLUM" try --quiet /bin/true 2>&1)
    status=$?
    case $text in
    *"$2"*) [ $status -ne 0 ] || { echo "$1: ended with 0"; exit 1; } ;;
    *) echo "$1: $text"; exit 1 ;;
    esac
}

expect heap-overflow "write of 1 bytes"
expect use-after-free "freed memory"
expect double-free "freed memory"
expect memcpy-overflow "write of 40 bytes"
expect global-overflow "beyond a global variable"
expect index "index out of bounds at kernel/lib/san/selftest.c"
expect shift "undefined behaviour: shift"
expect overflow "signed addition overflows"
expect guest "guest memory, past the copy routines"
timeout 30 "$OCCLUM" try --quiet /bin/true
