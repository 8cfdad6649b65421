# SPDX-License-Identifier: BSD-3-Clause
# Go's own tests of packages of its standard library, short form; a test is one of `go test`, with
# its parts. They run under a shell, so that a terminal which they open is not theirs.
suite=go
. tests/suites/lib.sh
command -v go >/dev/null || { echo "go is not installed"; exit 77; }
go env GOVERSION >"$work/version"
LIMIT=600
for p in ${CASES:-os/signal net net/http os os/exec syscall}; do
    name=$(echo "$p" | tr / _)
    go test -c -vet=off -o "$work/$name.test" "$p" 2>"$work/go.log" || continue
    cd "$(go env GOROOT)/src/$p" || exit 1
    by_lines "$name" '^ *--- PASS' sh -c '"$@"; exit $?' - "$work/$name.test" -test.v -test.short
    cd "$top" || exit 1
done
