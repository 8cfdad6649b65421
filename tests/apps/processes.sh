# SPDX-License-Identifier: BSD-3-Clause
# Shells that start other programs: fork, exec, pipes between them, waiting.
. tests/apps/lib.sh

case $(try /bin/bash -c "(exit 3)" 2>&1) in
*"not implemented"*) echo "fork is not there yet"; exit 77 ;;
esac
same /bin/bash -c 'x=$(echo inner); echo "[$x]"'
same /bin/bash -c 'seq 1 1000 | grep 7 | wc -l'
same /bin/bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/echo $i; done | sort -rn'
same /bin/bash -c '(exit 3); echo $?; /bin/false || echo failed; ! /bin/true; echo $?'
same /bin/bash -c '/bin/sleep 0.05 & wait $!; echo done $?'
same /bin/bash -c 'cat <<< "here string"; cat << E
here document
E'
same /bin/sh -c 'ls /usr/include/linux | head -3; echo a | tr a b'
same /bin/bash -c 'exec 2> /dev/null; kill -9 $BASHPID & wait $!; echo $?'
same /bin/bash -c '/none/such; echo $?; /etc/passwd; echo $?'
same /bin/bash -c 'diff <(seq 5) <(seq 6); echo $?'
exit $failed
