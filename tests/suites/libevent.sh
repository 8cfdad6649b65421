# SPDX-License-Identifier: BSD-3-Clause
# libevent's own regression tests, built from Debian's source; each prints OK or FAILED.
suite=libevent
. tests/suites/lib.sh
tree=$(source_of libevent) || { echo "no source of libevent"; tail -3 "$work/apt.log"; exit 77; }
basename "$tree" | sed 's/^libevent-//' >"$work/version"
tests=$tree/test/regress
if [ ! -x "$tests" ]; then
    (cd "$tree" && touch aclocal.m4 && touch configure config.h.in Makefile.in && # in order
        ./configure --disable-shared --disable-openssl --disable-samples && make &&
        make -C test regress) >"$work/build.log" 2>&1 ||
        { echo "libevent's tests do not build"; tail -3 "$work/build.log"; exit 77; }
fi
LIMIT=600
cd "$tree/test" || exit 1
by_lines regress ': .*OK$' "$tests"
