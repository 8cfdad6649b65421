# SPDX-License-Identifier: BSD-3-Clause
# busybox's testsuite, run on Debian's static busybox; a test is a line PASS:.
suite=busybox
. tests/suites/lib.sh
command -v busybox >/dev/null || { echo "busybox is not installed"; exit 77; }
folder=$(source_of busybox) || { echo "apt-get source busybox failed, see $work/apt.log"; exit 77; }
dpkg-query -W -f '${Version}' busybox-static >"$work/version"
cd "$folder/testsuite" || exit 1
[ -e ../busybox ] || cp "$(command -v busybox)" ../busybox
: >../.config
work=${folder%/}
TMPDIR=$work
LIMIT=600
export TMPDIR
for t in ${CASES:-$(ls -- *.tests | sed 's/\.tests$//')}; do
    by_lines "$t" '^PASS:' ./runtest -v "$t"
done
