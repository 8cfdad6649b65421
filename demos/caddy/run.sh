#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Caddy, a Go server as Debian packages it: answers, files, compression, 16 clients at once.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian caddy wrk curl
version=$(debian_version caddy)
port=$(free_port)
mkdir -p "$work/site"
seq 20000 >"$work/site/numbers.txt"
cat >"$work/Caddyfile" <<END
{
    admin off
    auto_https off
}
http://127.0.0.1:$port {
    encode gzip
    respond /hello "hello from caddy"
    root * $work/site
    file_server
}
END
make_instance
seconds=5
[ -n "$small" ] && seconds=1

fetch() {
    curl -s --max-time 20 "$@"
}
# The rate of PATH in thousand requests a second.
rate() {
    wrk -t 1 -c 16 -d "$seconds" "http://127.0.0.1:$port$1" >"$work/wrk" 2>&1
    grep -q 'Non-2xx' "$work/wrk" && fail "$side: $1: $(grep Non-2xx "$work/wrk")"
    awk '$1 == "Requests/sec:" { printf "%.2f", $2 / 1000 }' "$work/wrk"
}
serve() { # SIDE
    side=$1
    server "$side" /bin/caddy run --config "$work/Caddyfile" --adapter caddyfile
    until_ready fetch -f "http://127.0.0.1:$port/hello" || return
    [ "$(fetch "http://127.0.0.1:$port/hello")" = "hello from caddy" ] || fail "$side: hello"
    fetch --compressed "http://127.0.0.1:$port/numbers.txt" |
        cmp -s - "$work/site/numbers.txt" || fail "$side: the file differs"
    rates="$(rate /hello) $(rate /numbers.txt)"
    stop_servers
}
say "$name: $seconds seconds of 16 clients"
by_turns "$rounds" serve
[ -n "$small" ] && finish
row "short answers" "$(middle 1)" "$(middle 3)" 0.95 k/s more
row "a file of 106 KiB" "$(middle 2)" "$(middle 4)" 0.95 k/s more
finish
