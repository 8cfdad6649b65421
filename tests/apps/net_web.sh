# SPDX-License-Identifier: BSD-3-Clause
# Further web servers inside: lighttpd, and caddy, which is written in Go.
# TIMEOUT: 180
. tests/apps/lib/server
need curl
folder=/usr/share/common-licenses
port=$(free_port)
url=http://127.0.0.1:$port/GPL-3
found=

fetch() {
    curl -s -m 10 -o "$TMPDIR/got" "$url"
}
served() {
    found=yes
    answers fetch && for i in $(seq 20); do
        curl -s -m 60 "$url" "$url" | cat - "$TMPDIR/got" | sha256sum
    done | sort -u >"$TMPDIR/sums"
    check "$1 serves something else" cmp -s "$TMPDIR/got" $folder/GPL-3
    check "$1 does not serve the same always" [ "$(wc -l <"$TMPDIR/sums")" = 1 ]
    server_end
}

lighttpd=$(command -v lighttpd || ls /usr/sbin/lighttpd 2>/dev/null)
if [ -n "$lighttpd" ]; then
    cat >"$TMPDIR/lighttpd.conf" <<C
server.document-root = "$folder"
server.port = $port
server.bind = "127.0.0.1"
C
    server_start "$lighttpd" -D -f "$TMPDIR/lighttpd.conf"
    served lighttpd
fi

if command -v caddy >/dev/null; then
    cat >"$TMPDIR/Caddyfile" <<C
{
    admin off
    auto_https off
}
http://127.0.0.1:$port {
    root * $folder
    file_server
}
C
    server_start /usr/bin/env HOME=/tmp "$(command -v caddy)" run --adapter caddyfile \
        --config "$TMPDIR/Caddyfile"
    served caddy
fi
[ -n "$found" ] || { echo 'neither lighttpd nor caddy is installed'; exit 77; }
exit $failed
