#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Shells: bash and fish at a terminal, a script of each, and many short commands.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian bash fish procps
version="bash $(debian_version bash | sed 's/+.*//'), fish $(debian_version fish)"
make_instance

session() { # SHELL
    say "$name: $1 at a terminal"
    python3 "$here/session.py" "$1" >"$work/native.out" || fail "$1: natively"
    python3 "$here/session.py" "$1" $inside >"$work/inside.out" || fail "$1: inside"
    cat "$work/inside.out"
    cmp -s "$work/native.out" "$work/inside.out" || fail "$1: the sessions differ"
}
session bash
session fish
folder=/tmp/occlum-demo-shell
export HOME=/tmp
# fish leaves with 3, the script of bash with 5: a sh around them says so.
script() { # LABEL COMMAND
    [ -n "$small" ] && { both "$1" "" /bin/sh -c "$2; echo left with \$?"; return; }
    both "$1" "whole=0.6" /bin/sh -c "$2; echo left with \$?"
}
script "200 lines of bash" "bash $here/script.sh $folder"
script "a script of fish" "fish --no-config $here/script.fish $folder"
[ -n "$small" ] && finish
script "short commands, 1,000 rounds" "bash $here/short.sh 1000"
finish
