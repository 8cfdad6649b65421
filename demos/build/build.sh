# SPDX-License-Identifier: BSD-3-Clause
# Unpacks, configures, builds, tests and uses a package of C; says how long each took.
#   build.sh ARCHIVE FOLDER JOBS
archive=$1 folder=$2 jobs=$3
export PATH=/usr/bin:/bin LC_ALL=C TZ=UTC
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder" || exit 1
step() { # WHAT COMMAND...
    what=$1
    shift
    begin=$(date +%s%N)
    "$@" >"$folder/log" 2>&1 || { tail -5 "$folder/log"; exit 1; }
    took=$(($(date +%s%N) - begin))
    printf 'time %s %d.%09d\n' "$what" $((took / 1000000000)) $((took % 1000000000)) >&2
}
step unpack tar xjf "$archive" --strip-components=1
step configure ./configure --disable-shared --disable-nls --disable-doc CFLAGS=-O1
step make make -j "$jobs"
grep -E '^#define (HAVE|SIZEOF|PACKAGE)' config.h | sort | cksum
sha256sum src/xz/xz src/xzdec/xzdec
seq 200000 >numbers
src/xz/xz -k -9 numbers
sha256sum numbers.xz
src/xzdec/xzdec numbers.xz | cmp - numbers && echo "what was built works"
cd / && rm -rf "$folder"
