#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Vault, built by the Go toolchain from the module proxy: a server with TLS, its storage in the
# encrypted store, unsealed, asked by 64 clients at once, killed while one writes.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian curl openssl jq procps
version=1.21.0
go_program github.com/hashicorp/vault v$version minimal
ln "$program" "$work/vault" 2>/dev/null || cp "$program" "$work/vault" || exit 1
port=$(free_port) confirmed=50 requests=50
[ -n "$small" ] && confirmed=5 requests=2
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/site.key" -out "$work/site.crt" \
    -days 30 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat >"$work/vault.hcl" <<END
storage "raft" {
    path = "$work/data/vault"
    node_id = "one"
}
api_addr = "https://127.0.0.1:$port"
cluster_addr = "https://127.0.0.1:$(free_port)"
listener "tcp" {
    address = "127.0.0.1:$port"
    tls_cert_file = "$work/site.crt"
    tls_key_file = "$work/site.key"
}
disable_mlock = true
END
make_instance
store
export VAULT_ADDR=https://127.0.0.1:$port VAULT_CACERT=$work/site.crt

# call METHOD PATH [JSON]: its answer; fails where Vault does
call() {
    curl -s -f --max-time 60 --cacert "$work/site.crt" -H "X-Vault-Token: $token" -X "$1" \
        ${3:+-d "$3"} "$VAULT_ADDR/v1/$2"
}
# is WHAT WANTED COMMAND...
is() {
    what=$1 wanted=$2
    shift 2
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || fail "$side: $what: $got"
}
value() { # NAME
    call GET "kv/$1" | jq -r .data.value
}
answers() { # whatever state it is in
    call GET "sys/seal-status"
}
start() {
    server "$side" /bin/sh -c "mkdir -p $data/vault &&
        exec $work/vault server -config=$work/vault.hcl -log-level=error"
    until_ready answers || return
    key=$(cat "$work/$side.key" 2>/dev/null)
    [ -n "$key" ] || return 0
    call PUT sys/unseal "{\"key\": \"$key\"}" >/dev/null || fail "$side: unseal"
    until_ready call GET sys/health
}
first() {
    token=
    call PUT sys/init '{"secret_shares": 1, "secret_threshold": 1}' >"$work/init" ||
        { fail "$side: init"; return; }
    jq -r '.keys[0]' "$work/init" >"$work/$side.key"
    token=$(jq -r .root_token "$work/init")
    call PUT sys/unseal "{\"key\": \"$(cat "$work/$side.key")\"}" >/dev/null
    until_ready call GET sys/health
    call POST sys/mounts/kv '{"type": "kv"}' || fail "$side: kv"
    call PUT sys/audit/file "{\"type\": \"file\", \"options\":
        {\"file_path\": \"$data/audit.log\"}}" || fail "$side: audit"
    call PUT kv/one '{"value": "secret"}' || fail "$side: put"
    is "get" secret value one
    token=wrong is "a wrong token" 22 sh -c "curl -s -f -H 'X-Vault-Token: wrong' \
        --cacert '$work/site.crt' $VAULT_ADDR/v1/kv/one; echo \$?"
}
# 64 clients at once, each with some requests over a connection of its own
clients() {
    begin=$(now_ns)
    pids=
    for i in $(seq 64); do
        for n in $(seq $requests); do
            echo "url = $VAULT_ADDR/v1/kv/one"
            echo "output = $work/answer.$i"
        done | curl -s -f --max-time 300 --cacert "$work/site.crt" \
            -H "X-Vault-Token: $token" -K - &
        pids="$pids $!"
    done
    for pid in $pids; do
        wait "$pid" || fail "$side: a client of 64: status $?"
    done
    rates=$((($(now_ns) - begin) / 1000000))
    [ "$(jq -r .data.value "$work"/answer.* | sort | uniq -c | xargs)" = "64 secret" ] ||
        fail "$side: an answer to one of 64 clients"
    rm "$work"/answer.*
}
write_numbers() {
    for i in $(seq 100000); do
        call PUT kv/last "{\"value\": $i}" 2>/dev/null && echo "$i" >>"$work/confirmed" || break
    done
}
serve() { # SIDE
    side=$1
    start && first
    [ $failed -eq 0 ] || return
    clients
    : >"$work/confirmed"
    write_numbers &
    client=$!
    until_ready lines "$work/confirmed" $confirmed
    crash
    wait $client
    start || return
    is "get after the kill" secret value one
    [ "$(value last)" -ge "$(tail -1 "$work/confirmed")" ] || fail "$side: a write is lost"
    call PUT sys/seal || fail "$side: seal"
    call GET kv/one >/dev/null && fail "$side: sealed, and it answers"
    stop_servers
    [ "$side" = inside ] || rm -rf "$data"
}
say "$name: 64 clients, and killed while one writes"
by_turns 1 serve
echo "$(tail -1 "$work/confirmed") writes were confirmed before the kill; none is lost"
[ -n "$small" ] || row "64 clients, $requests requests each" "$(middle 1)" "$(middle 2)" 1.05 ms
finish
