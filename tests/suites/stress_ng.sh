# SPDX-License-Identifier: BSD-3-Clause
# stress-ng's stressors with --verify, two workers each; a test is a stressor.
suite=stress_ng
. tests/suites/lib.sh
command -v stress-ng >/dev/null || { echo "stress-ng is not installed"; exit 77; }
dpkg-query -W -f '${Version}' stress-ng >"$work/version"
cd "$work" || exit 1
LIMIT=60
for t in ${CASES:-fork vfork pthread futex signal sigabrt sigchld sigfd sigfpe sigio sigpending \
    sigpipe sigq sigrt sigsegv sigsuspend sigtrap pipe switch mmap mremap clone exec wait zombie \
    daemon kill sem sem-sysv shm shm-sysv msg mq memfd poll epoll eventfd timer timerfd \
    nanosleep itimer yield nice mlock brk stack malloc}; do
    by_status "$t" stress-ng --"$t" 2 --timeout "${SECONDS_EACH:-2}" --verify --temp-path "$work"
done
