# SPDX-License-Identifier: BSD-3-Clause
# What bash does by itself, without other programs.
. tests/apps/lib.sh

same /bin/bash -c 'for i in {1..1000}; do s=$((s + i * i)); done; echo $s'
same /bin/bash -c 'a=(x y "z w"); a+=(q); echo ${#a[@]} "${a[2]}" ${a[@]:1:2}; declare -A m
    m[k]=v; m[l]=u; for k in k l; do echo $k=${m[$k]}; done'
same /bin/bash -c 'read -r x y <<< "one two three"; echo "$y|$x"'
same /bin/bash -c 'while IFS=: read -r name _ id _; do echo $name $id; done < /etc/passwd'
same /bin/bash -c 's="hello world"; echo ${s^^} ${s/o/0} ${s:3:4} ${#s}
    printf "%05d %x %s\n" 42 255 x'
same /bin/bash -c 'f() { local n=$1; ((n < 2)) && { R=$n; return; }; f $((n - 1)); local a=$R
    f $((n - 2)); R=$((a + R)); }; f 15; echo $R'
same /bin/bash -c 'trap "echo got it" USR1; kill -USR1 $$; echo after
    trap "echo bye" EXIT; exit 3'
same /bin/bash -c 'echo out; echo err >&2; exit 200'
same /bin/bash -c '[[ abc =~ ^(a)(b) ]] && echo ${BASH_REMATCH[2]}
    case x in [a-w]) echo no;; x) echo yes; esac'
same /bin/bash -c 'echo /usr/include/linux/if_*.h; shopt -s extglob; echo /etc/@(passwd|group)'
status 143 /bin/bash -c 'kill -TERM $$'
same /bin/bash -c 'echo $((1/0))'
same /bin/bash -c 'exec /bin/echo replaced'
exit $failed
