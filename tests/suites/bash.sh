# SPDX-License-Identifier: BSD-3-Clause
# bash's upstream tests, run by Debian's bash; a test is one of the files run-NAME, passed if
# everything it prints is what it prints natively.
suite=bash
. tests/suites/lib.sh
folder=$(source_of bash) || { echo "apt-get source bash failed, see $work/apt.log"; exit 77; }
dpkg-query -W -f '${Version}' bash >"$work/version"
cd "$folder/tests" || exit 1
for tool in recho zecho printenv xcase; do
    [ -e $tool ] || gcc -w -DHAVE_STRING_H -DHAVE_STDLIB_H -DHAVE_UNISTD_H -I.. -I../include -o $tool ../support/$tool.c || exit 1
done
THIS_SH=/bin/bash BUILD_DIR=$PWD/.. TMPDIR=$work PATH=$PWD:$PATH
BASH_TSTOUT=$work/tstout
export BASH_TSTOUT THIS_SH BUILD_DIR TMPDIR PATH
# No more descriptors than inside, whoever calls.
natively() {
    timeout -k 5 "$LIMIT" bash -c 'for f in /proc/self/fd/*; do
        f=${f##*/}; [ $f -le 2 ] || eval "exec $f>&-"; done; exec "$@"' bash "$@" </dev/null
}
for t in ${CASES:-$(ls run-* | sed 's/^run-//' | grep -v '^all$\|^minimal$\|^gprof$')}; do
    by_output "$t" /bin/bash ./run-"$t"
done
