// SPDX-License-Identifier: BSD-3-Clause
// Computing, garbage, two hundred threads, an HTTP service with its client, a child process.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.IntStream;

public class Work {
    static long last = System.nanoTime();

    static void done(String what, Object result) {
        System.out.println(what + " " + result);
        System.err.println("time " + what + " " + (System.nanoTime() - last) / 1e9);
        last = System.nanoTime();
    }

    static long fibonacci(int n) {
        return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
    }

    static int garbage(int rounds) {
        Map<Integer, byte[]> map = new HashMap<>();
        Random random = new Random(1);
        for (int i = 0; i < rounds; i++)
            map.put(random.nextInt(20000), new byte[random.nextInt(4000)]);
        return map.size();
    }

    static int threads(int tasks) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(200);
        List<Future<Integer>> all = new ArrayList<>();
        for (int i = 0; i < tasks; i++) {
            int result = i;
            all.add(pool.submit(() -> { Thread.sleep(1); return result; }));
        }
        int sum = 0;
        for (Future<Integer> one : all)
            sum += one.get();
        pool.shutdown();
        return sum;
    }

    static int http(int requests) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", e -> {
            byte[] answer = ("hello " + e.getRequestURI()).getBytes();
            e.sendResponseHeaders(200, answer.length);
            e.getResponseBody().write(answer);
            e.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
        String base = "http://127.0.0.1:" + server.getAddress().getPort() + "/";
        HttpClient client = HttpClient.newHttpClient();
        List<CompletableFuture<HttpResponse<String>>> all = new ArrayList<>();
        for (int i = 0; i < requests; i++)
            all.add(client.sendAsync(HttpRequest.newBuilder(URI.create(base + i)).build(),
                                     HttpResponse.BodyHandlers.ofString()));
        int n = 0;
        for (CompletableFuture<HttpResponse<String>> one : all)
            n += one.get().body().length();
        server.stop(0);
        return n;
    }

    public static void main(String[] args) throws Exception {
        int size = Integer.parseInt(args[0]);
        done("start", System.getProperty("java.vm.name"));
        done("compute", fibonacci(30 + size));
        done("parallel", IntStream.range(0, size * 1000000).parallel().mapToLong(i -> i % 7L).sum());
        done("garbage", garbage(size * 40000));
        done("threads", threads(size * 200));
        done("http", http(size * 40));
        Process child = new ProcessBuilder("/bin/echo", "child").start();
        done("child", new String(child.getInputStream().readAllBytes()).trim() + child.waitFor());
        System.exit(0);
    }
}
