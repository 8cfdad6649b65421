# SPDX-License-Identifier: BSD-3-Clause
# redis, nginx with two workers and PostgreSQL at once in one enclave, for SECONDS each way:
# over the host's rings, and over calls that are interrupted and cut short at random. Clients
# check what they get and leave by resets. Memory may not grow in the second half.
#   OCCLUM=build/bin/occlum sh tests/stress/net_mixed.sh [SECONDS]
seconds=${1:-600}
TMPDIR=$(mktemp -d "$PWD/build/mixed.XXXXXX") || exit 1 # not in /tmp, which is its own inside
export TMPDIR
chmod 755 "$TMPDIR"
. tests/apps/lib/server
trap 'server_end; rm -rf "$TMPDIR"' EXIT
patience=$((seconds + 300))
need python3 redis-server nginx setpriv psql
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -x "$bin/pgbench" ] || { echo "PostgreSQL is not installed"; exit 77; }
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -shared -fPIC tests/stress/flaky_net.c \
    -o "$TMPDIR/flaky.so" || exit 1
as=
[ "$(id -u)" = 0 ] && as='setpriv --reuid 65534 --regid 65534 --clear-groups'
head -c 1000003 /dev/urandom >"$TMPDIR/big"
chmod 644 "$TMPDIR/big"

# round NAME: with the environment as it is
round() {
    redis=$(free_port) web=$(free_port) sql=$(free_port)
    cat >"$TMPDIR/nginx.conf" <<C
daemon off; worker_processes 2; pid /tmp/nginx.pid; error_log stderr error;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 127.0.0.1:$web; root $TMPDIR; }
}
C
    server_start env -u LD_PRELOAD $as sh -c "
        redis-server --port $redis --save '' --appendonly no --bind 127.0.0.1 --dir /tmp &
        $(command -v nginx) -c $TMPDIR/nginx.conf &
        $bin/initdb -D /tmp/data -A trust --no-sync -U me &&
        exec $bin/postgres -D /tmp/data -p $sql -k /tmp -c fsync=off -c max_wal_size=64MB \
            -c min_wal_size=32MB -c listen_addresses=127.0.0.1"
    for try in 1 2 3 4; do
        failed=0
        answers pg_isready -q -h 127.0.0.1 -p "$sql" && break
    done
    [ $failed = 0 ] || { all=1; server_end; return; }
    way=$1
    set -- "$bin/pgbench" -h 127.0.0.1 -p "$sql" -U me
    "$@" -i -q postgres >"$TMPDIR/init" 2>&1
    "$@" -c 4 -T "$seconds" postgres >"$TMPDIR/bench" 2>&1 &
    bench=$!
    enclave=$(ps -o pid= --ppid "$server" | head -1 | tr -d ' ')
    python3 tests/stress/net_mixed.py "$seconds" "$redis" "$web" "$TMPDIR/big" "$enclave" \
        >"$TMPDIR/load" 2>&1 || { echo "$way: the clients"; failed=1; }
    wait $bench || { echo "$way: pgbench"; failed=1; }
    grep -q 'failed transactions: 0 ' "$TMPDIR/bench" || { tail -5 "$TMPDIR/bench"; failed=1; }
    sed "s/^/$way: /" "$TMPDIR/load"
    sed -n "s/^number of transactions.*processed/$way: pgbench/p" "$TMPDIR/bench"
    awk -v name="$way" -v long=$((seconds >= 300)) '/^MiB:/ { half = $7; last = $NF
        if (long && last > half * 1.1 + 64) { print name ": memory grows"; exit 1 } }' \
        "$TMPDIR/load" || failed=1
    server_end
    all=$((${all:-0} + failed))
}

round rings
build=$(dirname "$(dirname "$(readlink -f "$OCCLUM")")")
tools/link-runtime "$build" "$TMPDIR/runtime" || exit 1
cat >"$TMPDIR/interrupted" <<C
#!/bin/sh
export OCCLUM_KERNEL=$build/lib/occlum-kernel.elf
OCCLUM_RING=interp LD_PRELOAD=$TMPDIR/flaky.so exec $TMPDIR/runtime "\$@"
C
chmod 755 "$TMPDIR/interrupted"
OCCLUM=$TMPDIR/interrupted
round interrupted
exit $((all > 0))
