# SPDX-License-Identifier: BSD-3-Clause
# CPython's own tests, of libpython3.11-testsuite; a test is a method.
suite=python
. tests/suites/lib.sh
version=$(dpkg-query -W -f '${Version}' libpython3.11-testsuite 2>/dev/null)
[ -n "$version" ] || { echo "libpython3.11-testsuite is not installed"; exit 77; }
echo "$version" >"$work/version"
cd "$work" || exit 1
TMPDIR=$work
LIMIT=900
export TMPDIR
for t in ${CASES:-test_os test_subprocess test_threading test_signal test_select test_mmap \
    test_tempfile test_queue test_thread test_posix test_fcntl test_time test_threadsignals \
    test_wait3 test_wait4 test_fork1 test_resource test_eintr test_multiprocessing_fork \
    test_multiprocessing_forkserver test_multiprocessing_spawn \
    test_multiprocessing_main_handling test_concurrent_futures test_asyncio test_socket test_ssl \
    test_selectors test_httplib test_socketserver test_ftplib}; do
    # Some set the machine's clock, where others work; some hang natively in virtual machines.
    use=
    [ "$t" = test_socketserver ] && use='-u network' # of this machine's own
    # shellcheck disable=SC2086
    by_summary "$t" /usr/bin/python3.11 -m test $use -v -i '*_settime*' -i '*VSOCK*' "$t"
done
