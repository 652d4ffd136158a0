# java: JIT, garbage collection, threads, mapped files, class loading.
set -eu
cat > Work.java <<'END'
import java.nio.*; import java.nio.channels.*; import java.nio.file.*; import java.util.*; import java.util.concurrent.*;
import java.util.stream.*;
public class Work {
  static int hot(int n) { int s = 0; for (int i = 0; i < n; i++) s = s * 31 + i; return s; }
  public static void main(String[] a) throws Exception {
    int s = 0; for (int i = 0; i < 200; i++) s += hot(1000000);
    System.out.println("jit " + s);
    Map<Integer, byte[]> kept = new HashMap<>();
    for (int i = 0; i < 20000; i++) kept.put(i % 500, new byte[20000]);
    System.gc();
    System.out.println("gc " + kept.size());
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Integer>> all = new ArrayList<>();
    for (int i = 0; i < 16; i++) { int n = i; all.add(pool.submit(() -> hot(n * 100000))); }
    long sum = 0; for (Future<Integer> f : all) sum += f.get();
    pool.shutdown();
    System.out.println("threads " + sum);
    try (FileChannel c = FileChannel.open(Paths.get("mapped"), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      MappedByteBuffer m = c.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
      m.putInt(0, 42); m.force();
      System.out.println("mapped " + m.getInt(0));
    }
    System.out.println("streams " + IntStream.range(0, 1000000).parallel().filter(x -> x % 3 == 0).count());
  }
}
END
java Work.java
