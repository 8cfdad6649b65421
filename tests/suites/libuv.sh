# SPDX-License-Identifier: BSD-3-Clause
# libuv's own test program, built from Debian's source; a test is one of its list, which it runs in
# a process of its own, with helpers in others.
suite=libuv
. tests/suites/lib.sh
tree=$(source_of libuv1) || { echo "no source of libuv1"; tail -3 "$work/apt.log"; exit 77; }
basename "$tree" | sed 's/.*-//' >"$work/version"
tests=$work/uv_run_tests
build() {
    mkdir -p "$work/objects" && cd "$work/objects" || return 1
    set -- "$tree"/src/*.c
    for name in async core dl epoll fs getaddrinfo getnameinfo linux-core linux-inotify \
        linux-syscalls loop loop-watcher pipe poll process procfs-exepath proctitle \
        random-devurandom random-getrandom random-sysctl-linux signal stream tcp thread tty udp; do
        set -- "$@" "$tree/src/unix/$name.c"
    done
    flags="-w -O1 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I$tree/include -I$tree/src"
    # shellcheck disable=SC2086
    gcc $flags -c "$@" && ar rcs ../libuv.a ./*.o &&
        gcc $flags -o "$tests" "$tree"/test/test-*.c "$tree/test/run-tests.c" \
            "$tree/test/runner.c" "$tree/test/runner-unix.c" "$tree/test/blackhole-server.c" \
            "$tree/test/echo-server.c" ../libuv.a -lpthread -ldl -lrt
}
if [ ! -x "$tests" ]; then
    (build) >"$work/build.log" 2>&1 ||
        { echo "libuv's tests do not build"; tail -3 "$work/build.log"; exit 77; }
fi
LIMIT=600
cd "$tree" || exit 1 # where they look for test/fixtures
chmod -R a+rwX "$work"
set -- "$tests"
[ "$(id -u)" = 0 ] && set -- setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
by_lines tests '^ok ' "$@"
