#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Redis: load, a snapshot by fork under load, the append-only file rewritten, a replica, Lua,
# TLS, and a cluster of three, each set in one enclave.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian redis-server redis-tools procps openssl
version=$(debian_version redis-server)
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/tls.key" -out "$work/tls.crt" \
    -days 30 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
make_instance
store
requests=100000
[ -n "$small" ] && requests=2000

cli() {
    redis-cli -h 127.0.0.1 "$@"
}
# rate PORT PIPELINE [OPTIONS]: thousand SETs a second
rate() {
    at=$1 pipeline=$2
    shift 2
    redis-benchmark -h 127.0.0.1 -p "$at" -t set -n $requests -c 50 -P "$pipeline" "$@" \
        --csv 2>/dev/null | awk -F'"' '$2 == "SET" { printf "%.2f", $4 / 1000 }'
}
# is WHAT WANTED COMMAND...
is() {
    what=$1 wanted=$2
    shift 2
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || fail "$side: $what: $got"
}
info() { # PORT SECTION KEY
    cli -p "$1" info "$2" | tr -d '\r' | sed -n "s/^$3://p"
}
persistence() { # PORT
    cli -p "$1" bgsave >/dev/null
    rate "$1" 1 >/dev/null                     # under load
    until_ready sh -c "redis-cli -p $1 info persistence | grep -q rdb_bgsave_in_progress:0"
    is "snapshot" ok info "$1" persistence rdb_last_bgsave_status
    cli -p "$1" bgrewriteaof >/dev/null
    until_ready sh -c "redis-cli -p $1 info persistence |
        grep -q 'aof_rewrite_in_progress:0' && redis-cli -p $1 info persistence |
        grep -q 'aof_rewrite_scheduled:0'"
    is "rewrite" ok info "$1" persistence aof_last_bgrewrite_status
    is "Lua" 5050 cli -p "$1" eval \
        'local s = 0 for i = 1, ARGV[1] do s = s + i end return s' 0 100
}
# In one connection: WAIT is for the writes of its own.
set_and_wait() { # PORT
    printf 'set last one\nwait 1 60000\n' | cli -p "$1" | xargs
}
# A server and its replica in one enclave.
pair() { # SIDE
    side=$1 one=$(free_port) two=$(free_port) folder=/tmp/occlum-demo-redis-$$-$1
    common="--bind 127.0.0.1 --save '' --appendonly yes --repl-diskless-sync-delay 0"
    server "$side" /bin/sh -c "mkdir -p $folder/1 $folder/2
        redis-server $common --port $two --dir $folder/2 --replicaof 127.0.0.1 $one &
        redis-server $common --port $one --dir $folder/1; wait"
    until_ready cli -p "$one" ping || return
    until_ready sh -c "redis-cli -p $two info replication | grep -q master_link_status:up"
    rates="$(rate "$one" 1) $(rate "$one" 16)"
    persistence "$one"
    is "replication" "OK 1" set_and_wait "$one"
    is "the replica's value" one cli -p "$two" get last
    for port in $two $one; do
        cli -p "$port" shutdown nosave 2>/dev/null
    done
    stop_servers
    rm -rf "$folder"
}
# Over TLS: the key and the certificate are in the image.
tls() { # SIDE
    side=$1 one=$(free_port)
    server "$side" /bin/redis-server --bind 127.0.0.1 --port 0 --tls-port "$one" --save '' \
        --tls-cert-file "$work/tls.crt" --tls-key-file "$work/tls.key" --tls-auth-clients no
    set -- --tls --cacert "$work/tls.crt"
    until_ready cli -p "$one" "$@" ping || return
    is "over TLS" OK cli -p "$one" "$@" set key value
    is "without TLS" 1 sh -c "redis-cli -h 127.0.0.1 -p $one ping >/dev/null 2>&1; echo \$?"
    rates=$(rate "$one" 1 "$@")
    stop_servers
}
cluster() { # SIDE
    side=$1 a=$(free_port) b=$(free_port) c=$(free_port) folder=/tmp/occlum-demo-cluster-$$-$1
    server "$side" /bin/sh -c "for p in $a $b $c; do mkdir -p $folder/\$p
        redis-server --bind 127.0.0.1 --port \$p --dir $folder/\$p --cluster-enabled yes \
            --cluster-port \$((p % 20000 + 10000)) --save '' & done; wait"
    for port in $a $b $c; do
        until_ready cli -p "$port" ping || return
    done
    cli --cluster create "127.0.0.1:$a" "127.0.0.1:$b" "127.0.0.1:$c" --cluster-yes \
        >"$work/$side.cluster" 2>&1 ||
        { fail "$side: no cluster"; tail -3 "$work/$side.cluster"; }
    for port in $a $b $c; do
        until_ready sh -c "redis-cli -p $port cluster info | grep -q cluster_state:ok"
    done
    for i in 1 2 3 4 5 6 7 8; do
        is "a key of the cluster" OK cli -c -p "$a" set "key$i" "$i"
        is "that key elsewhere" "$i" cli -c -p "$b" get "key$i"
    done
    for port in $a $b $c; do
        cli -p "$port" shutdown nosave 2>/dev/null
    done
    stop_servers
    rm -rf "$folder"
}

# The server is killed while a client appends number after number, each synced to the file:
# started again it has each that was confirmed.
killed() { # SIDE
    side=$1 one=$(free_port)
    for start in first second; do
        server "$side" /bin/sh -c "mkdir -p $data/aof && exec redis-server --bind 127.0.0.1 \
            --port $one --dir $data/aof --save '' --appendonly yes --appendfsync always"
        until_ready cli -p "$one" ping || return
        [ $start = second ] && break
        seq 1000000 | sed 's/^/rpush numbers /' |
            redis-cli -h 127.0.0.1 -p "$one" >"$work/confirmed" 2>/dev/null &
        client=$!
        until_ready lines "$work/confirmed" 100
        crash
        kill $client # it would try again for each number
        wait $client
    done
    count=$(cli -p "$one" llen numbers)
    [ "$count" -ge "$(sed '/^[0-9]*$/!d' "$work/confirmed" | tail -1)" ] ||
        fail "$side: only $count numbers are left"
    is "the last number" "$count" cli -p "$one" lindex numbers -1
    stop_servers
}
say "$name: killed while a client writes"
[ -n "$small" ] || killed native
killed inside
[ $failed -eq 0 ] && echo "$count numbers are left, and the last confirmed was" \
    "$(sed '/^[0-9]*$/!d' "$work/confirmed" | tail -1)"

say "$name: a server with a replica"
by_turns "$rounds" pair
if [ -z "$small" ]; then
    row "SET, 50 clients" "$(middle 1)" "$(middle 3)" 0.95 k/s more
    row "SET, pipelines of 16" "$(middle 2)" "$(middle 4)" 0.95 k/s more
fi
say "$name: TLS"
by_turns "$rounds" tls
[ -n "$small" ] ||
    row "SET over TLS, 50 clients" "$(middle 1)" "$(middle 2)" 0.95 k/s more
[ -n "$small" ] && finish
say "$name: a cluster of three"
cluster native
cluster inside
finish
