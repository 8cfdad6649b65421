# SPDX-License-Identifier: BSD-3-Clause
# Fish: functions, events, lists, pipes, command substitution, background jobs, statuses.
set -l folder $argv[1]
mkdir -p $folder; and cd $folder; or exit 1

function section
    echo "-- $argv"
end
function on_change --on-variable watched
    echo "watched is $watched"
end
section lists
set list (seq 10)
echo (count $list) $list[1] $list[-1] $list[3..5]
set -a list eleven
echo $list[-1] a{1,2,3}b
for i in $list
    string match -q '*1*' -- $i; and echo -n "$i "
end
echo
section strings
string replace -r '(\w+)=(\w+)' '$2=$1' key=value
string split , a,b,c | string upper | string join +
string pad -w 6 -c . abc
math "6 * 7 + 2 ^ 10"
section pipes
seq 100 | string match '*7*' | wc -l
begin
    echo out
    echo err >&2
end 2>errors | cat
cat errors
diff (seq 3 | psub) (seq 2 4 | psub)
false | true | false
echo "statuses $pipestatus"
seq 3 | while read -l n
    echo "n $n"
end
section events
set -g watched 1
set -g watched 2
function on_signal --on-signal USR1
    echo "USR1 came"
end
kill -USR1 $fish_pid
sleep 0
section jobs
for i in 1 2 3
    sh -c "echo job $i >job.$i" &
end
wait
cat job.*
sh -c 'exit 6'
echo "status $status"
not true; or echo "not true is $status"
section functions
function factorial -a n
    test $n -le 1; and echo 1; and return
    math $n \* (factorial (math $n - 1))
end
factorial 10
function outer
    set -l value local
    inner
end
function inner
    set -q value; and echo dynamic; or echo lexical
end
outer
switch $list[2]
    case 1 3
        echo odd
    case '*'
        echo even
end
cd /
rm -rf $folder
exit 3
