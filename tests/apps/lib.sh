# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of this folder: runs a command natively and inside and compares what it
# printed and its status. Not a test itself.

failed=0
: "${OCCLUM:=build/bin/occlum}" "${TMPDIR:=/tmp}"
extra=                          # further options for occlum try

try() {
    # Inside, TMPDIR would name a folder that is read-only there.
    env -u TMPDIR "$OCCLUM" try --quiet $extra "$@"
}

# same COMMAND ARGS...: output and status are equal, nothing stands on standard error
same() {
    "$@" >"$TMPDIR/native.out" 2>"$TMPDIR/native.err" </dev/null
    native=$?
    try "$@" >"$TMPDIR/inside.out" 2>"$TMPDIR/inside.err" </dev/null
    inside=$?
    if [ $native -ne $inside ]; then
        echo "$*: status $inside inside, $native natively"
        tail -5 "$TMPDIR/inside.err"
        failed=1
    elif ! cmp -s "$TMPDIR/native.out" "$TMPDIR/inside.out"; then
        echo "$*: the output differs (< natively, > inside)"
        diff "$TMPDIR/native.out" "$TMPDIR/inside.out" | head -10
        failed=1
    elif ! cmp -s "$TMPDIR/native.err" "$TMPDIR/inside.err"; then
        echo "$*: standard error differs (< natively, > inside)"
        diff "$TMPDIR/native.err" "$TMPDIR/inside.err" | head -10
        failed=1
    fi
}

# status WANTED COMMAND ARGS...: inside only; one clear line of complaint where it is not 0
status() {
    wanted=$1
    shift
    try "$@" >"$TMPDIR/inside.out" 2>"$TMPDIR/inside.err" </dev/null
    inside=$?
    if [ $inside -ne "$wanted" ]; then
        echo "$*: status $inside, wanted $wanted"
        head -5 "$TMPDIR/inside.err"
        failed=1
    elif [ "$wanted" -ge 125 ] && [ "$wanted" -lt 128 ] && ! [ -s "$TMPDIR/inside.err" ]; then
        echo "$*: status $inside without a word why"
        failed=1
    fi
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
    done
}

compile() {
    # compile OUTPUT FLAGS... with the source on standard input
    output=$1
    shift
    "${CC:-gcc}" -O1 -x c - -o "$output" "$@" || exit 1
}
