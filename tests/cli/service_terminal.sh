#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# exec at a terminal, under pseudo terminals. TIMEOUT: 240
top=$(pwd)
. tests/cli/lib/instance

command -v python3 >/dev/null || skip "python3 is not here"
trap '"$occlum" stop -t 0 2>/dev/null; cd /; rm -rf "$work"' EXIT
new_instance inst
{
    echo 'targets:'
    echo '  - target: /bin'
    echo '    copy:'
    echo '      - files:'
    for program in bash dash sleep cat tty stty; do
        echo "          - /bin/$program"
    done
} | sed 's|/bin/tty|/usr/bin/tty|' >../bom.yaml
"$(dirname "$occlum")/copy_bom" -f ../bom.yaml --root image >../bom.log 2>&1 ||
    { cat ../bom.log; fail "copy_bom"; }
ln -s dash image/bin/sh
sed -i 's/"untrusted": *\[/&"TERM", "PS1", /' Occlum.json
build
"$occlum" start || fail "start"
python3 "$top/tests/cli/service_terminal.py"
