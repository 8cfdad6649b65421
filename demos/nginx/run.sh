#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# nginx: a master and two workers by fork, files by sendfile, TLS, a reload under load.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian nginx wrk curl openssl
version=$(debian_version nginx)
port=$(free_port) secure=$(free_port)
mkdir -p "$work/site" "$work/log"
seq 20000 >"$work/site/numbers.txt"
echo "hello from nginx" >"$work/site/hello"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/site.key" -out "$work/site.crt" \
    -days 30 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat >"$work/nginx.conf" <<END
daemon off;
user root;
worker_processes 2;
pid /tmp/occlum-demo-nginx.pid;
error_log stderr warn;
events {
    worker_connections 512;
}
http {
    access_log off;
    sendfile on;
    client_body_temp_path /tmp/occlum-demo-nginx-body;
    proxy_temp_path /tmp/occlum-demo-nginx-proxy;
    fastcgi_temp_path /tmp/occlum-demo-nginx-fastcgi;
    uwsgi_temp_path /tmp/occlum-demo-nginx-uwsgi;
    scgi_temp_path /tmp/occlum-demo-nginx-scgi;
    server {
        listen 127.0.0.1:$port;
        listen 127.0.0.1:$secure ssl;
        ssl_certificate $work/site.crt;
        ssl_certificate_key $work/site.key;
        root $work/site;
    }
}
END
make_instance
seconds=5
[ -n "$small" ] && seconds=1

fetch() {
    curl -s --max-time 20 --cacert "$work/site.crt" "$@"
}
# The rate of URL in thousand requests a second.
rate() {
    wrk -t 1 -c 16 -d "$seconds" "$1" >"$work/wrk" 2>&1
    grep -q 'Non-2xx' "$work/wrk" && fail "$side: $1: $(grep Non-2xx "$work/wrk")"
    awk '$1 == "Requests/sec:" { printf "%.2f", $2 / 1000 }' "$work/wrk"
}
serve() { # SIDE
    side=$1
    server "$side" /usr/sbin/nginx -p /tmp -c "$work/nginx.conf" -e stderr
    until_ready fetch -f "http://127.0.0.1:$port/hello" || return
    for url in "http://127.0.0.1:$port" "https://127.0.0.1:$secure"; do
        fetch "$url/numbers.txt" | cmp -s - "$work/site/numbers.txt" ||
            fail "$side: $url: the file differs"
    done
    [ "$(fetch -r 10-19 "http://127.0.0.1:$port/numbers.txt" | cksum)" = \
        "$(dd if="$work/site/numbers.txt" bs=1 skip=10 count=10 2>/dev/null | cksum)" ] ||
        fail "$side: a range differs"
    [ "$(fetch -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/none")" = 404 ] ||
        fail "$side: what is not there"
    rates="$(rate "http://127.0.0.1:$port/hello") $(rate "http://127.0.0.1:$port/numbers.txt")"
    rates="$rates $(rate "https://127.0.0.1:$secure/hello")"
    kill -HUP "$last_server" # new workers, the old ones end when they have answered
    for i in 1 2 3 4 5 6 7 8; do
        fetch -f "http://127.0.0.1:$port/hello" >/dev/null || fail "$side: while reloading"
    done
    stop_servers
    rm -rf /tmp/occlum-demo-nginx-*
}
say "$name: $seconds seconds of 16 clients, three times"
by_turns "$rounds" serve
[ -n "$small" ] && finish
row "short answers" "$(middle 1)" "$(middle 4)" 0.95 k/s more
row "a file of 106 KiB" "$(middle 2)" "$(middle 5)" 0.95 k/s more
row "short answers over TLS" "$(middle 3)" "$(middle 6)" 0.95 k/s more
finish
