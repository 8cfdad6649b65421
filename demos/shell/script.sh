# SPDX-License-Identifier: BSD-3-Clause
# What a long script of bash does, in sections; all that it prints is the same each time.
set -u
folder=${1:?a folder to work in}
mkdir -p "$folder"
cd "$folder" || exit 1
# A child that is killed before it runs its command still has this trap.
leave() {
    status=$?
    [ "$BASHPID" = $$ ] || return
    echo "end: status $status"
    cd / && rm -rf "$folder"
}
trap leave EXIT

section() {
    printf -- '-- %s\n' "$1"
}

section "pipelines"
seq 1000 | grep 7 | sort -r | head -3
seq 100 | while read -r n; do echo $((n * n)); done | tail -1
printf '%s\n' delta alpha charlie bravo | sort | tr '\n' ' ' | tr a-z A-Z
echo
seq 5 | (read -r first; echo "first $first"; cat) | wc -l
false | true | false
echo "statuses ${PIPESTATUS[*]}"
set -o pipefail
false | true && echo "never"
set +o pipefail
yes | head -2 | uniq -c | tr -s ' '

section "subshells and groups"
value=outer
(value=inner; cd /; echo "$value in $PWD")
echo "$value in ${PWD##*/}"
{ echo one; echo two; } | sort -r
echo "nested $(echo "in $(echo "deep $(echo 3)")")"
(exit 9) || echo "left with $?"
(trap 'echo "the subshell ends"' EXIT; true)
echo "level $BASH_SUBSHELL and $(echo "$BASH_SUBSHELL")"

section "here-documents"
cat <<END
expanded: $((6 * 7)) $(echo command) $value
END
cat <<'END'
as it is: $((6 * 7)) $(echo command) $value
END
tr a-z A-Z <<<"a string"
while read -r a b; do echo "$b $a"; done <<END
first second
third fourth
END

section "process substitution"
diff <(seq 1 5) <(seq 2 6)
paste -d+ <(seq 3) <(seq 4 6)
seq 10 | tee >(grep -c 1 >ones) >(tail -1 >last) >/dev/null
until [ -s ones ] && [ -s last ]; do :; done
cat ones last
while read -r line; do count=$((${count:-0} + 1)); done < <(seq 42)
echo "counted $count"

section "redirections"
exec 3>log 4>&1
echo "to the log" >&3
echo "past it" >&4
exec 3>&- 4>&-
cat log
ls /none 2>&1 | sed 's/.*: //'
{ echo out; echo err >&2; } 2>errors >output
cat errors output
echo more >>output
wc -l <output
: >output
[ -s output ] || echo empty
exec 5<>both
echo "written" >&5
cat both
exec 5>&-

section "traps and signals"
trap 'echo "USR1 came"; got=1' USR1
got=0
kill -USR1 $$
echo "got $got"
(trap 'echo "TERM caught"; exit 3' TERM; kill -TERM "$BASHPID"; echo "not reached")
echo "then $?"
trap '' INT
kill -INT $$
trap - INT USR1
{ bash -c 'kill -KILL $$'; } 2>/dev/null
echo "killed $?"
mistake() { return 4; }
trap 'echo "ERR at a failing command"' ERR
mistake
trap - ERR

section "jobs"
for i in 3 1 2; do
    (echo "job $i" >"job.$i"; exit "$i") &
    pids="${pids:-} $!"
done
for pid in $pids; do
    wait "$pid"
    echo "ended with $?"
done
cat job.*
sleep 100 &
kill $!
wait $! 2>/dev/null
echo "sleep: $?"
mkfifo fifo
seq 20 >fifo &
awk '{ s += $1 } END { print "through a fifo", s }' fifo
wait
coproc tr a-z A-Z
# COPROC goes with the co-process, which may end before its answer is read.
exec {from}<&"${COPROC[0]}" {to}>&"${COPROC[1]}"
echo "to a co-process" >&"$to"
eval "exec ${COPROC[1]}>&-"
exec {to}>&-
cat <&"$from"
exec {from}<&-
wait 2>/dev/null

section "functions and recursion"
factorial() {
    if [ "$1" -le 1 ]; then echo 1; else echo $(($1 * $(factorial $(($1 - 1))))); fi
}
factorial 12
hanoi() {
    [ "$1" -eq 0 ] && return
    hanoi $(($1 - 1)) "$2" "$4" "$3"
    moves=$((moves + 1))
    hanoi $(($1 - 1)) "$4" "$3" "$2"
}
moves=0
hanoi 8 a b c
echo "$moves moves"
scope() { local value=local; nested; }
nested() { echo "dynamic: $value"; }
scope

section "arrays and strings"
numbers=({1..10} 20)
echo "${#numbers[@]}: ${numbers[*]:8} ${numbers[-1]}"
declare -A colour=([sky]=blue [grass]=green)
for key in $(printf '%s\n' "${!colour[@]}" | sort); do echo "$key ${colour[$key]}"; done
path=/usr/share/doc/file.tar.gz
echo "${path##*/} ${path%/*} ${path%%.*} ${path/share/lib} ${#path} ${path:5:5} ${path^^}"
echo {a..e}{1..2} | tr -d ' '
[[ "key=value" =~ ^([a-z]+)=([a-z]+)$ ]] && echo "${BASH_REMATCH[2]} ${BASH_REMATCH[1]}"
printf '%05d|%-6s|%6.2f|%x\n' 42 left 3.14159 255
mapfile -t lines < <(seq 4)
echo "${lines[2]} of ${#lines[@]}"

section "loops and choices"
for ((i = 0; i < 3; i++)); do echo -n "$i "; done
echo
for word in one two three four; do
    case $word in
    t*) echo "$word: begins with t" ;;
    *r) echo "$word: ends with r" ;;
    *) continue ;;
    esac
done
n=27 steps=0
until [ $n -eq 1 ]; do
    if ((n % 2)); then n=$((3 * n + 1)); else n=$((n / 2)); fi
    steps=$((steps + 1))
done
echo "27 needs $steps steps"

section "files"
mkdir -p tree/{a,b}/{x,y}
for f in tree/*/*; do echo "${f//\//.}" >"$f/name"; done
find tree -type f | sort | xargs cat
find tree -name y -type d -prune -o -type f -print | wc -l
ln -s tree/a/x/name link
readlink link
cat link
chmod 640 link
stat -c '%a %F %s' link tree/a/x/name
mv tree/a tree/c && ls tree
[ -e link ] || echo "the link leads nowhere"
tar cf - tree | tar tf - | sort | tail -2
sed -n 's/tree\.\(.*\)/\1/p' tree/c/x/name | od -c | head -1
cksum <(find tree -type f | sort) | cut -d' ' -f1,2

section "evaluation"
command=$(printf 'echo %s' "from eval")
eval "$command"
source /dev/stdin <<<'echo "sourced with $# arguments"'
bash -c 'echo "$0 has $# arguments: $*"' name "one two" three
env -i PATH="$PATH" NAME=value bash -c 'echo "$NAME and ${HOME-nothing}"'
getopt_like() {
    local OPTIND=1 option
    while getopts "ab:" option; do echo "$option ${OPTARG-}"; done
}
getopt_like -a -b argument
exit 5
