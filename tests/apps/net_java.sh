# SPDX-License-Identifier: BSD-3-Clause
# A Java NIO echo server with one selector, and twenty clients in a thread beside it.
# TIMEOUT: 120
. tests/apps/lib.sh
need java javac
cat >"$TMPDIR/Echo.java" <<'J'
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.util.*;

public class Echo {
    static final int CLIENTS = 20, ROUNDS = 20;

    static void clients(int port) {
        try {
            long sum = 0;
            List<SocketChannel> all = new ArrayList<>();
            for (int i = 0; i < CLIENTS; i++)
                all.add(SocketChannel.open(new InetSocketAddress("127.0.0.1", port)));
            for (int round = 0; round < ROUNDS; round++)
                for (SocketChannel c : all) {
                    byte[] sent = new byte[1 + round * 500];
                    Arrays.fill(sent, (byte) round);
                    c.write(ByteBuffer.wrap(sent));
                    ByteBuffer b = ByteBuffer.allocate(sent.length);
                    while (b.hasRemaining() && c.read(b) >= 0)
                        ;
                    if (Arrays.equals(b.array(), sent))
                        sum += sent.length;
                }
            for (SocketChannel c : all)
                c.close();
            System.out.println("echoed " + sum);
        } catch (Exception e) {
            System.out.println(e);
        }
    }

    static int serve(Selector selector, ServerSocketChannel listener, ByteBuffer b)
            throws Exception {
        int closed = 0;
        selector.select();
        for (SelectionKey k : selector.selectedKeys()) {
            if (k.isAcceptable()) {
                SocketChannel c = listener.accept();
                c.configureBlocking(false);
                c.register(selector, SelectionKey.OP_READ);
                continue;
            }
            SocketChannel c = (SocketChannel) k.channel();
            b.clear();
            if (c.read(b) < 0) {
                c.close();
                closed++;
            } else {
                b.flip();
                while (b.hasRemaining())
                    c.write(b);
            }
        }
        selector.selectedKeys().clear();
        return closed;
    }

    public static void main(String[] args) throws Exception {
        Selector selector = Selector.open();
        ServerSocketChannel listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress("127.0.0.1", 0));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
        Thread t = new Thread(() -> clients(port));
        t.start();
        ByteBuffer b = ByteBuffer.allocate(16384);
        int closed = 0;
        while (closed < CLIENTS)
            closed += serve(selector, listener, b);
        t.join();
        System.out.println("closed " + closed);
    }
}
J
javac -d "$TMPDIR" "$TMPDIR/Echo.java" || exit 1
same "$(command -v java)" -cp "$TMPDIR" Echo
exit $failed
