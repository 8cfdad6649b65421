// SPDX-License-Identifier: BSD-3-Clause
// Adds up numbers, slowly, with a checkpoint every 100 ms, and goes on from the last one but one
// that it finds: that one is whole, whenever this process was killed.
//   Sum COUNT CHECKPOINTS
import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import java.util.stream.*;
import org.apache.flink.configuration.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

public class Sum {
    static volatile long read, sum; // of this process

    static Optional<Path> lastButOne(Path folder) throws IOException {
        if (!Files.isDirectory(folder))
            return Optional.empty();
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(p -> p.endsWith("_metadata")).map(Path::getParent)
                .sorted(Comparator.comparing(p -> -Integer.parseInt(
                    p.getFileName().toString().substring("chk-".length()))))
                .skip(1).findFirst();
        }
    }

    public static void main(String[] args) throws Exception {
        long count = Long.parseLong(args[0]);
        Configuration c = new Configuration();
        c.setString("execution.checkpointing.storage", "filesystem");
        c.setString("execution.checkpointing.dir", "file://" + args[1]);
        c.setString("execution.checkpointing.num-retained", "3");
        c.setString("execution.checkpointing.externalized-checkpoint-retention",
            "RETAIN_ON_CANCELLATION");
        Optional<Path> from = lastButOne(Path.of(args[1]));
        from.ifPresent(p -> c.setString("execution.state-recovery.path", "file://" + p));
        System.out.println("from " + from.map(p -> p.getFileName().toString()).orElse("nothing"));
        StreamExecutionEnvironment e = StreamExecutionEnvironment.createLocalEnvironment(1, c);
        e.enableCheckpointing(100);
        e.fromSequence(1, count).map(n -> {
            Thread.sleep(1);
            if (++read % 100 == 0)
                System.out.println("read " + read);
            return n;
        }).keyBy(n -> 0).reduce(Long::sum).map(s -> sum = s).filter(s -> false).print();
        e.execute();
        System.out.println("in all " + sum + ", read again " + read);
        System.exit(0);
    }
}
