# SPDX-License-Identifier: BSD-3-Clause
# Other people's servers inside, their clients outside: nginx with four workers, memcached,
# socat, Python's http.server, iperf3; and clients inside: curl, socat.
# TIMEOUT: 240
. tests/apps/lib/server
need curl socat python3
folder=/usr/share/common-licenses
port=$(free_port)
url=http://127.0.0.1:$port/GPL-3

fetch() {
    curl -s -m 10 -o "$TMPDIR/got" "$url"
}
same_file() {
    cmp -s "$TMPDIR/got" $folder/GPL-3 || { echo "$1 serves something else"; failed=1; }
}

server_start /usr/bin/python3 -m http.server "$port" --bind 127.0.0.1 --directory $folder
answers fetch && same_file http.server
env -u TMPDIR timeout 60 "$OCCLUM" try --quiet /usr/bin/curl -s "$url" >"$TMPDIR/got"
same_file 'to curl inside, http.server'
server_end

if command -v nginx >/dev/null; then
    cat >"$TMPDIR/nginx.conf" <<C
daemon off; worker_processes 4; pid $TMPDIR/pid; error_log stderr error;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path $TMPDIR/body; proxy_temp_path $TMPDIR/proxy;
    fastcgi_temp_path $TMPDIR/fcgi; uwsgi_temp_path $TMPDIR/uwsgi; scgi_temp_path $TMPDIR/scgi;
    server { listen 127.0.0.1:$port; root $folder; }
}
C
    extra="--rw $TMPDIR"
    server_start "$(command -v nginx)" -c "$TMPDIR/nginx.conf"
    answers fetch && same_file nginx
    for i in 1 2 3 4; do
        curl -s -m 60 -o /dev/null "$url" -o "$TMPDIR/got.$i" "$url" &
        clients="$clients $!"
    done
    wait $clients
    for i in 1 2 3 4; do
        cp "$TMPDIR/got.$i" "$TMPDIR/got"
        same_file "to client $i, nginx"
    done
    server_end
    extra=
fi

if command -v memcached >/dev/null; then
    server_start "$(command -v memcached)" -u nobody -l 127.0.0.1 -p "$port" -t 2
    stored() {
        printf 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n' |
            timeout 10 socat -t 5 - "TCP:127.0.0.1:$port" | grep -q hello
    }
    answers stored
    server_end
fi

server_start /usr/bin/socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" EXEC:/bin/cat
echoed() {
    [ "$(echo hello | timeout 10 socat -t 5 - "TCP:127.0.0.1:$port")" = hello ]
}
answers echoed
server_end

# A name server that knows one name; dig outside asks it inside, and the other way round.
if command -v dig >/dev/null; then
    cat >"$TMPDIR/names.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', int(sys.argv[1])))
while True:
    query, who = s.recvfrom(512)
    end = query.index(0, 12) + 5 # the question
    head = query[:2] + b'\x84\0\0\1\0\1\0\0\0\0'
    answer = b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x2a'
    s.sendto(head + query[12:end] + answer, who)
P
    found() {
        set -- "$@" +short +tries=1 +time=5 -p "$port" @127.0.0.1 server.example A
        [ "$("$@")" = 192.0.2.42 ]
    }
    server_start /usr/bin/python3 "$TMPDIR/names.py" "$port"
    answers found dig
    server_end
    python3 "$TMPDIR/names.py" "$port" &
    names=$!
    answers_outside=
    for try in 1 2 3 4 5 6; do
        found try "$(command -v dig)" && answers_outside=yes && break
    done
    check 'dig inside finds nothing' [ -n "$answers_outside" ]
    kill $names
fi

if command -v iperf3 >/dev/null; then
    for way in '' -R; do
        server_start "$(command -v iperf3)" -s -1 -p "$port" -B 127.0.0.1
        measured() {
            timeout 60 iperf3 -c 127.0.0.1 -p "$port" -n 50M $way | grep -q receiver
        }
        answers measured
        server_end
    done
fi
exit $failed
