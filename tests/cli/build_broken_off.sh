#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A build that is interrupted, killed, or runs beside another leaves the old one as it was.
. tests/cli/lib/instance

new_instance inst
build
before=$(mrenclave)
intact() {
    [ "$(mrenclave)" = "$before" ] || fail "$1: the old build changed"
    [ "$("$occlum" status)" = built ] || fail "$1: the status changed"
    [ ! -e .__occlum_build.new ] || fail "$1: something half-made was left"
}

# Another build holds the lock.
command -v flock >/dev/null || skip "flock(1) is not here"
exec 8>.__occlum_lock
flock 8 || fail "flock"
refuses 1 'another build of this instance is running' "$occlum" build
exec 8>&-
intact "the lock"

# Large enough that it cannot be over; sparse, so that making it costs nothing.
truncate -s 2G image/large
timeout --preserve-status -s INT 0.3 "$occlum" build >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 130 ] || { cat "$work/err"; fail "status $status after SIGINT"; }
grep -q 'interrupted; nothing was changed' "$work/err" || fail "no message after SIGINT"
intact "SIGINT"
timeout --preserve-status -s TERM 0.3 "$occlum" build >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 143 ] || { cat "$work/err"; fail "status $status after SIGTERM"; }
intact "SIGTERM"

# Killed outright: the lock is free again and the next build clears up.
timeout -s KILL 0.3 "$occlum" build >"$work/out" 2>&1
[ "$(mrenclave)" = "$before" ] || fail "SIGKILL: the old build changed"
rm image/large
tries=0
until "$occlum" build >"$work/out" 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { cat "$work/out"; fail "no build after SIGKILL"; }
    sleep 0.1
done
[ ! -e .__occlum_build.new ] || fail "SIGKILL: something half-made was left"
exit 0
