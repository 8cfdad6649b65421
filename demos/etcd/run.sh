#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# etcd, a Go server as Debian packages it: keys, a transaction, and the server killed while a
# client writes: what was confirmed is there.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian etcd-server etcd-client procps
version=$(debian_version etcd-server)
make_instance
store
confirmed=100
[ -n "$small" ] && confirmed=10
export ETCDCTL_API=3

ctl() {
    timeout 60 etcdctl --endpoints "http://127.0.0.1:$port" "$@"
}
start() {
    server "$side" /bin/etcd --data-dir "$data/etcd" --log-level error \
        --listen-client-urls "http://127.0.0.1:$port" \
        --advertise-client-urls "http://127.0.0.1:$port" \
        --listen-peer-urls "http://127.0.0.1:$peer" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "default=http://127.0.0.1:$peer"
    until_ready ctl endpoint health
}
is() { # WHAT WANTED COMMAND...
    what=$1 wanted=$2
    shift 2
    got=$("$@" 2>&1 | xargs)
    [ "$got" = "$wanted" ] || fail "$side: $what: $got"
}
transaction() {
    printf 'value("/a/one") = "1"\n\nput /a/one 11\n\n\n' | ctl txn
}
write_numbers() {
    for i in $(seq 100000); do
        ctl put last "$i" >/dev/null 2>&1 && echo "$i" >>"$work/confirmed" || break
    done
}
work_with() { # SIDE
    side=$1 port=$(free_port) peer=$(free_port)
    start || return
    is "put" OK ctl put /a/one 1
    is "put" OK ctl put /a/two 2
    is "get" "/a/one 1 /a/two 2" ctl get --prefix /a/
    is "transaction" "SUCCESS OK" transaction
    : >"$work/confirmed"
    began=$(now_ns)
    write_numbers &
    client=$!
    until_ready lines "$work/confirmed" $confirmed
    rates=$((($(now_ns) - began) / 1000000))
    crash
    wait $client
    start || return
    is "get after the kill" "/a/one 11 /a/two 2" ctl get --prefix /a/
    [ "$(ctl get --print-value-only last)" -ge "$(tail -1 "$work/confirmed")" ] ||
        fail "$side: a key is lost"
    stop_servers
}
say "$name: keys, and killed while a client writes"
by_turns 1 work_with
echo "$(tail -1 "$work/confirmed") writes were confirmed before the kill; none is lost"
[ -n "$small" ] || row "$confirmed writes, one by one" "$(middle 1)" "$(middle 2)" 1.3 ms
finish
