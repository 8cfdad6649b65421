#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# net.loopback: what programs inside say to each other stays inside ("enclave", the default): it
# costs no exits, and the kernel outside sees no connection. With "host" it passes the host. A
# client outside reaches a server inside either way. TIMEOUT: 60
. tests/cli/lib/instance

new_instance inst
cat >"$work/talk.c" <<'C'
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* talk ROUNDS: with itself. talk: tells its port, says back what the first client says. */
int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    char text[64];
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s;
    if (bind(l, (void *)&a, size) || listen(l, 4) || getsockname(l, (void *)&a, &size))
        return 1;
    if (argc < 2) {
        printf("%d\n", ntohs(a.sin_port));
        fflush(stdout);
        s = accept(l, NULL, NULL);
        ssize_t n = read(s, text, sizeof(text));
        return n <= 0 || write(s, text, (size_t)n) != n;
    }
    if (connect(c, (void *)&a, size) || (s = accept(l, NULL, NULL)) < 0)
        return 2;
    for (int i = atoi(argv[1]); i > 0; i--)
        if (write(c, "ping", 4) != 4 || read(s, text, 4) != 4 || write(s, "pong", 4) != 4 ||
            read(c, text, 4) != 4)
            return 3;
    puts("talked");
    return 0;
}
C
"${CC:-gcc}" -O1 -static "$work/talk.c" -o image/bin/talk || fail "talk.c"

calls() {
    "$occlum" run --stats /bin/talk 2000 >"$work/out" 2>"$work/err" || fail "talk"
    [ "$(cat "$work/out")" = talked ] || fail "talk said something else"
    sed -n 's/^exits: \([0-9]*\) host calls.*/\1/p' "$work/err"
}

from_outside() {
    "$occlum" run /bin/talk >"$work/port" 2>"$work/err" &
    server=$!
    for _ in $(seq 600); do
        [ -s "$work/port" ] && break
        sleep 0.1
    done
    port=$(cat "$work/port")
    got=$(bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; echo hello >&3; cat <&3")
    [ "$got" = hello ] || fail "from outside ($1): got '$got'"
    wait $server || fail "the server ($1)"
}

build
inside=$(calls)
[ "$inside" -lt 1000 ] || fail "$inside exits for 2000 rounds that stay inside"
from_outside enclave
sed -i 's/^{/{"net": {"loopback": "host"},/' Occlum.json
build
outside=$(calls)
[ "$outside" -gt 2000 ] || fail "only $outside exits for 2000 rounds over the host"
from_outside host
sed -i 's/"loopback": "host"/"loopback": "nowhere"/' Occlum.json
"$occlum" build >"$work/out" 2>&1 && fail "an impossible value was taken"
grep -q 'net.loopback.*"enclave" or "host"' "$work/out" || fail "refused without saying why"
exit 0
