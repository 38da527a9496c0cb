// Program.cs - .NET's own value tasks, measured as bench.h measures vts
//
// One operation at a time on one thread: an async loop awaits a pending operation, the
// driver completes it, the loop goes on inside that call, takes the result and starts the
// next one. Prints a line per row: dotnet TAB name TAB ns TAB bytes allocated TAB
// ratio_to TAB ratio, the numbers per operation and medians of interleaved rounds.
//
// Given the path of b_core, it runs that one's rows for a burst each in every round, next
// to its own, and prints what they took: pair TAB row of vts TAB row TAB ns TAB ns. What
// the processor gives changes from second to second; this way both sides get the same.
// Called with "echo" it is a server, see Echo.cs.

using System;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

/// <summary>A source that returns to its thread's pool when the result is taken.</summary>
sealed class Source : IValueTaskSource<long>
{
    [ThreadStatic] private static Source? free;

    private ManualResetValueTaskSourceCore<long> core; // runs continuations inline
    private Source? next;

    public static Source Rent()
    {
        Source? source = free;
        if (source == null) return new Source();
        free = source.next;
        return source;
    }

    public short Version => core.Version;
    public ValueTask<long> Task => new ValueTask<long>(this, core.Version);
    public void SetResult(long result) => core.SetResult(result);
    public ValueTaskSourceStatus GetStatus(short token) => core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token,
                            ValueTaskSourceOnCompletedFlags flags) =>
        core.OnCompleted(continuation, state, token, flags);

    public long GetResult(short token)
    {
        long result = core.GetResult(token);
        core.Reset();
        next = free;
        free = this;
        return result;
    }
}

sealed class Device
{
    public long Value = 1;

    // Calls that stay calls, as in b_core.c.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public long Read() => Value;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public ValueTask<long> ReadAsync() => new ValueTask<long>(Value);
}

sealed class Row
{
    public readonly string Name;
    public readonly string? RatioTo;
    public readonly Action<int> Run;
    public readonly double[] Ns = new double[Program.Rounds];
    public double Bytes;
    public int N;

    public Row(string name, Action<int> run, string? ratioTo = Program.Awaited)
    {
        Name = name;
        RatioTo = ratioTo;
        Run = run;
    }

    public double Burst()
    {
        long begin = Stopwatch.GetTimestamp();
        Run(N);
        return (Stopwatch.GetTimestamp() - begin) * 1e9 / Stopwatch.Frequency;
    }
}

/// <summary>A row of vts, and the one of .NET it is compared with.</summary>
sealed class Pair
{
    private readonly string group, vts, name;

    public Pair(string group, string vts, string name)
    {
        this.group = group;
        this.vts = vts;
        this.name = name;
    }

    public void Print(string program, Row[] rows)
    {
        Row row = Array.Find(rows, row => row.Name == name)!;
        double before = Burst(row);
        double ns = BurstOfVts(program);
        double mean = (before + Burst(row)) / 2;
        Console.Write(FormattableString.Invariant($"pair\t{vts}\t{name}\t{ns}\t{mean:G6}\n"));
    }

    private static double Burst(Row row) => row.Burst() / row.N;

    private double BurstOfVts(string program)
    {
        var start = new ProcessStartInfo(program, new[] { "burst", group, vts })
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return double.Parse(output, CultureInfo.InvariantCulture);
    }
}

static class Program
{
    private static readonly bool Quick =
        (Environment.GetEnvironmentVariable("BENCH_QUICK") ?? "0") is not ("" or "0");
    public const int Rounds = 15;
    public const string Awaited = "pooled source, awaited";

    private static readonly Device device = new Device();
    private static Source? pending;
    private static TaskCompletionSource<long>? promise;
    private static long sum;

    // ---- completed at once ----

    private static void OncePlain(int n)
    {
        Device self = device;
        long total = 0;
        for (int i = 0; i < n; i++) total += self.Read();
        sum += total;
    }

    private static void OnceValueTask(int n)
    {
        Device self = device;
        long total = 0;
        for (int i = 0; i < n; i++)
        {
            ValueTask<long> task = self.ReadAsync();
            if (!task.IsCompleted) throw new InvalidOperationException();
            total += task.Result;
        }
        sum += total;
    }

    // ---- pending ----

    private static ValueTask<long> Start()
    {
        Source source = Source.Rent();
        pending = source;
        return source.Task;
    }

    private static void Complete(Task loop, int n)
    {
        for (int i = 0; i < n; i++) pending!.SetResult(i);
        Finish(loop);
    }

    private static void Finish(Task loop)
    {
        if (!loop.IsCompletedSuccessfully) throw new InvalidOperationException();
    }

    private static async Task AwaitSources(int n)
    {
        for (int i = 0; i < n; i++) sum += await Start().ConfigureAwait(false);
    }

    private static async Task AwaitSourcesInContext(int n)
    {
        for (int i = 0; i < n; i++) sum += await Start();
    }

    // The way of a callback: what the compiler makes of await is left out.
    private static readonly Action<object?> take = static state =>
    {
        Source source = (Source)state!;
        sum += source.GetResult(source.Version);
    };

    private static void Callback(int n)
    {
        for (int i = 0; i < n; i++)
        {
            Source source = Source.Rent();
            source.OnCompleted(take, source, source.Version,
                               ValueTaskSourceOnCompletedFlags.None);
            source.SetResult(i);
        }
    }

    private static Task<long> StartPromise()
    {
        promise = new TaskCompletionSource<long>();
        return promise.Task;
    }

    private static async Task AwaitPromises(int n)
    {
        for (int i = 0; i < n; i++) sum += await StartPromise().ConfigureAwait(false);
    }

    private static void Promises(int n)
    {
        Task loop = AwaitPromises(n);
        for (int i = 0; i < n; i++) promise!.SetResult(i);
        Finish(loop);
    }

    // Async methods in between, which are operations themselves.
    private static async Task<long> StartTask() => await Start().ConfigureAwait(false);

    private static async Task AwaitTasks(int n)
    {
        for (int i = 0; i < n; i++) sum += await StartTask().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<long> StartPooling() => await Start().ConfigureAwait(false);

    private static async Task AwaitPooling(int n)
    {
        for (int i = 0; i < n; i++) sum += await StartPooling().ConfigureAwait(false);
    }

    private static readonly Row[] rows =
    {
        new("plain function", OncePlain, null),
        new("value task at once", OnceValueTask, "plain function"),
        new(Awaited, n => Complete(AwaitSources(n), n), null),
        new("pooled source, awaited in context", n => Complete(AwaitSourcesInContext(n), n)),
        new("pooled source, callback", Callback),
        new("TaskCompletionSource, awaited", Promises),
        new("async Task, awaited", n => Complete(AwaitTasks(n), n)),
        new("async ValueTask, pooled, awaited", n => Complete(AwaitPooling(n), n)),
    };

    private static readonly Pair[] pairs =
    {
        new("completion cycle", "pooled source", Awaited),
        new("completion cycle", "pooled value task", Awaited),
        new("completion cycle", "pooled source", "pooled source, callback"),
        new("completed at once", "value task", "value task at once"),
    };

    // ---- rounds ----

    [DllImport("libc")]
    private static extern int sched_getaffinity(int id, nint size, ulong[] set);

    [DllImport("libc")]
    private static extern int sched_setaffinity(int id, nint size, ulong[] set);

    // This thread alone, to the processor that bench.h uses; the compiler's and the
    // collector's threads stay free.
    private static void Pin()
    {
        if (!OperatingSystem.IsLinux()) return;
        ulong[] set = new ulong[128];
        if (sched_getaffinity(0, set.Length * sizeof(ulong), set) < 0) return;
        int first = Array.FindIndex(set, word => word != 0);
        ulong lowest = set[first] & (~set[first] + 1);
        Array.Clear(set);
        set[first] = lowest;
        sched_setaffinity(0, set.Length * sizeof(ulong), set);
    }

    private static void Fit(Row row)
    {
        double target = Quick ? 400e3 : 1500e3;
        row.Run(64);
        for (row.N = 64; row.N < 1 << 24; row.N *= 2)
        {
            if (row.Burst() * 2 > target) break;
        }
    }

    // The runtime compiles again what is hot, in the background, a tenth of a second
    // after it last had to compile something new.
    private static void WarmUp()
    {
        for (int pass = 0; pass < 5; pass++)
        {
            foreach (Row row in rows) Fit(row);
            Thread.Sleep(120);
        }
        foreach (Row row in rows) Fit(row);
    }

    // Twice as many operations allocate this much more: what a burst costs once is out.
    private static void CountBytes(Row row)
    {
        const int n = 10000;
        long begin = GC.GetAllocatedBytesForCurrentThread();
        row.Run(n);
        long once = GC.GetAllocatedBytesForCurrentThread();
        row.Run(2 * n);
        long twice = GC.GetAllocatedBytesForCurrentThread();
        row.Bytes = (double)((twice - once) - (once - begin)) / n;
    }

    private static void Measure(string? vts)
    {
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < rows.Length; i++)
            {
                Row row = rows[(i + round * 3) % rows.Length];
                row.Ns[round] = row.Burst() / row.N;
            }
            if (vts == null) continue;
            foreach (Pair pair in pairs) pair.Print(vts, rows);
        }
    }

    private static double Median(double[] values)
    {
        double[] sorted = (double[])values.Clone();
        Array.Sort(sorted);
        return sorted[sorted.Length / 2];
    }

    private static void Print(Row row)
    {
        string ratio = "null\tnull";
        Row? to = Array.Find(rows, to => to.Name == row.RatioTo);
        if (to != null)
        {
            double[] ratios = new double[Rounds];
            for (int i = 0; i < Rounds; i++) ratios[i] = row.Ns[i] / to.Ns[i];
            ratio = FormattableString.Invariant($"{to.Name}\t{Median(ratios):G6}");
        }
        Console.Write(FormattableString.Invariant(
            $"dotnet\t{row.Name}\t{Median(row.Ns):G6}\t{row.Bytes:G6}\t{ratio}\n"));
    }

    private static int Main(string[] arguments)
    {
        if (arguments.Length > 0 && arguments[0] == "echo") return Echo.Run();
        Pin();
        WarmUp();
        foreach (Row row in rows) CountBytes(row);
        Measure(arguments.Length > 0 ? arguments[0] : null);
        foreach (Row row in rows) Print(row);
        return sum == 0 ? 1 : 0;
    }
}
