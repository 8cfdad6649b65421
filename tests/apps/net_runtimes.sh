# SPDX-License-Identifier: BSD-3-Clause
# Servers and clients of language runtimes, both in one program inside: Python's asyncio,
# urllib and socketserver, Node's http. Output as natively.
# TIMEOUT: 120
. tests/apps/lib.sh
need python3
same /usr/bin/python3 -c '
import asyncio
async def serve(r, w):
    while line := await r.readline():
        w.write(line.upper())
        await w.drain()
    w.close()
async def client(port, n):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    total = 0
    for i in range(20):
        w.write(b"line %d of %d\n" % (i, n))
        total += len(await r.readline())
    w.close()
    await w.wait_closed()
    return total
async def main():
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = s.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*[client(port, n) for n in range(50)])))
    p = await asyncio.create_subprocess_exec("/bin/echo", "child", stdout=-1)
    print(await p.communicate())
asyncio.run(main())
'
same /usr/bin/python3 -c '
import http.server, socketserver, threading, urllib.request, socket, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() * 1000
        self.send_response(200); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
threading.Thread(target=s.serve_forever, daemon=True).start()
for i in range(20):
    d = urllib.request.urlopen("http://127.0.0.1:%d/%d" % (s.server_port, i)).read()
    assert d == (b"/%d" % i) * 1000
print("http")
a, b = socket.socketpair()
socket.send_fds(a, [b"fd"], [1])
data, fds, flags, addr = socket.recv_fds(b, 10, 4)
os.write(fds[0], b"through a descriptor\n")
class U(socketserver.DatagramRequestHandler):
    def handle(self): self.wfile.write(self.rfile.read()[::-1])
u = socketserver.UDPServer(("127.0.0.1", 0), U)
threading.Thread(target=u.serve_forever, daemon=True).start()
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(60)
c.sendto(b"datagram", u.server_address); print(c.recv(100))
print(socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM))
print([n for i, n in socket.if_nameindex() if n == "lo"])
'
if command -v node >/dev/null; then
    cat >"$TMPDIR/http.js" <<'J'
const http = require('http');
const s = http.createServer((q, r) => r.end('node ' + q.url));
s.listen(0, '127.0.0.1', () => {
    let left = 10;
    for (let i = 0; i < 10; i++)
        http.get({port: s.address().port, path: '/x'}, r => {
            let d = '';
            r.on('data', c => d += c);
            r.on('end', () => { console.log(d); if (!--left) s.close(); });
        });
});
J
    extra="--rw $TMPDIR"
    same "$(command -v node)" "$TMPDIR/http.js"
fi
exit $failed
