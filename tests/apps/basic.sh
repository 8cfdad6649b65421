# SPDX-License-Identifier: BSD-3-Clause
# Small programs of this machine behave as they do natively.
. tests/apps/lib.sh

same /bin/true
same /bin/false
same /bin/echo "one two" '$three' ''
same true
same /usr/bin/env -i A=1 /usr/bin/env
same /bin/cat /etc/passwd
same /bin/ls -l /bin/ls
same /usr/bin/sha256sum /bin/bash
same /usr/bin/wc /etc/services /etc/passwd
same /bin/uname -m
same /bin/uname -n
same /usr/bin/id -u
same /bin/pwd
same /usr/bin/sort -r /etc/passwd
same /bin/cat /none/such/file
same /usr/bin/od -A x -t x1z -N 4096 /bin/true
same /usr/bin/seq 1 100000
same /usr/bin/expr 6 \* 7
same /usr/bin/test -d /usr
same /usr/bin/test -d /none
# Standard input is passed in.
[ "$(seq 1000 | try /bin/cat | tail -1)" = 1000 ] || { echo "cat of a pipe"; failed=1; }
[ "$(seq 1 50000 | try /usr/bin/tail -n 1)" = 50000 ] || { echo "tail of a pipe"; failed=1; }
exit $failed
