// SPDX-License-Identifier: BSD-3-Clause
// Counts the words of a file in a cluster of its own: a JobManager and a TaskManager in this
// process, two slots, checkpoints to a folder.   WordCount TEXT CHECKPOINTS
import java.util.*;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.*;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;

public class WordCount {
    public static void main(String[] args) throws Exception {
        long begin = System.nanoTime();
        Configuration c = new Configuration();
        c.setString("execution.checkpointing.storage", "filesystem");
        c.setString("execution.checkpointing.dir", "file://" + args[1]);
        StreamExecutionEnvironment e = StreamExecutionEnvironment.createLocalEnvironment(2, c);
        e.enableCheckpointing(200);
        FileSource<String> text = FileSource.forRecordStreamFormat(
            new TextLineInputFormat(), new Path("file://" + args[0])).build();
        Map<String, Integer> counts = new TreeMap<>();
        var words = e.fromSource(text, WatermarkStrategy.noWatermarks(), "text")
            .flatMap((String line, Collector<Tuple2<String, Integer>> out) -> {
                for (String word : line.toLowerCase().split("\\W+"))
                    if (!word.isEmpty())
                        out.collect(Tuple2.of(word, 1));
            }).returns(Types.TUPLE(Types.STRING, Types.INT))
            .keyBy(pair -> pair.f0).sum(1);
        try (var results = words.executeAndCollect()) {
            while (results.hasNext()) {
                Tuple2<String, Integer> pair = results.next();
                counts.merge(pair.f0, pair.f1, Math::max);
            }
        }
        System.err.println("time job " + (System.nanoTime() - begin) / 1e9);
        counts.forEach((word, n) -> System.out.println(word + " " + n));
        System.exit(0);
    }
}
