# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 240
# Short programs of large runtimes: Java's with threads, Node's with a child and a worker.
. tests/apps/lib.sh

ran=
if command -v java >/dev/null; then
    ran=1
    same java -version
fi
if command -v javac >/dev/null; then
    cat >"$TMPDIR/Crowd.java" <<'E'
import java.util.concurrent.atomic.AtomicLong;

public class Crowd {
    static synchronized void count(long[] sum, long n) { sum[0] += n; }

    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[32];
        long[] sum = new long[1];
        AtomicLong atomic = new AtomicLong();
        for (int i = 0; i < threads.length; i++) {
            int n = i;
            threads[i] = new Thread(() -> {
                for (int k = 0; k < 2000; k++) {
                    count(sum, k % (n + 1));
                    atomic.addAndGet(new int[k % 100].length);
                }
            });
            threads[i].start();
        }
        for (Thread t : threads)
            t.join();
        String none = null;
        try {
            none.length();
        } catch (NullPointerException e) {
            System.out.println("caught");
        }
        Process p = new ProcessBuilder("/bin/echo", "a child").inheritIO().start();
        System.out.println(sum[0] + " " + atomic.get() + " " + p.waitFor());
        System.exit(5);
    }
}
E
    javac -d "$TMPDIR" "$TMPDIR/Crowd.java" || exit 1
    same java -Xshare:auto -cp "$TMPDIR" Crowd
fi
if command -v node >/dev/null; then
    ran=1
    same node -e 'const { Worker } = require("worker_threads");
        const out = require("child_process").execFileSync("/bin/echo", ["a", "child"]);
        console.log(out.toString().trim(), [1, 2, 3].map(x => x * x));
        const w = new Worker("require(\"worker_threads\").parentPort.postMessage(6 * 7)",
            { eval: true });
        w.on("message", m => { console.log(m); });
        w.on("exit", () => process.exit(4));'
fi
[ -n "$ran" ] || { echo "neither java nor node is installed"; exit 77; }
exit $failed
