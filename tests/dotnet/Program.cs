// Program.cs - performs sequences of operations with .NET and prints what happened
//
// trace.c does the same with vts; sequences.c says what the lines mean. Sequences are read
// from standard input, traces go to standard output.
//
// usage: trace.dll raw            .NET as it is
//        trace.dll rules FILE     .NET with the rules of Differences.cs; how often each was
//                                 needed is written to FILE

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

/// <summary>A value task, what source it is of, or what failure it was made with.</summary>
sealed class Slot
{
    public ValueTask<long> Task;
    public Source? Source;
    public string? Failure;
    public object? Preserved; // tells tasks that preserve made of sources apart
    public int Awaiters; // of that task
}

static class Trace
{
    private const int Sources = 2, Slots = 3;

    /// <summary>Where the next continuation begins, if not inline.</summary>
    public static string Place = "inline";

    private static readonly AsyncLocal<int> context = new();
    private static readonly StreamWriter output =
        new(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16);
    private static readonly Dictionary<int, List<string>> scripts = [];
    private static readonly List<string> main = [];
    private static readonly Source[] sources = new Source[Sources];
    private static readonly Slot[] slots = new Slot[Slots];
    private static readonly Task<long>?[] tasks = new Task<long>?[Slots];
    private static readonly List<(Task Task, Registration Registration)> unqueued = [];
    private static int depth;

    public static bool Captures(ValueTaskSourceOnCompletedFlags flags) =>
        (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0 &&
        SynchronizationContext.Current != null;

    public static bool Flows(ValueTaskSourceOnCompletedFlags flags) =>
        (flags & ValueTaskSourceOnCompletedFlags.FlowExecutionContext) != 0;

    private static void Write(string line)
    {
        output.Write(new string(' ', 2 * depth));
        output.Write(line);
        output.Write('\n');
    }

    // ---- operations: a[1]... are the integers of the line ----

    /// <summary>Tokens of a source follow one another; 0 is the one never issued.</summary>
    private static long Generation(int[] a, int at = 0) =>
        Math.Max(sources[a[at]].Generation + a[at + 1], 0);

    private static short Token(int[] a, int at = 0) => (short)Generation(a, at);

    private static Action<object?> Continuation(int k) => k < 0 ? null! : _ => Run(k);

    private static void Run(int k)
    {
        bool scheduled = SynchronizationContext.Current != null;
        Write($"run {k} {Place} scheduler={(scheduled ? 1 : 0)} context={context.Value}");
        Place = "inline";
        depth++;
        foreach (string line in scripts[k]) Perform(line);
        depth--;
    }

    private static string Ok(Action call)
    {
        call();
        return "ok";
    }

    private static string Reset(Source source)
    {
        source.Reset();
        return $"ok {source.Generation}";
    }

    private static string Wrap(Source source)
    {
        for (int i = 0; i < 65536; i++) source.Reset();
        return "ok";
    }

    private static Exception? Error(int code) => code == 0 ? null : new Failure(code);

    private static Exception Cancellation(int code) =>
        code == 0 ? new OperationCanceledException() : new Canceled(code);

    private static string Is(Func<bool> question)
    {
        try
        {
            return question() ? "1" : "0";
        }
        catch (Misuse misuse) when (Differences.D4_AnswersNo(misuse))
        {
            return "0";
        }
    }

    private static string Is(ValueTask<long> task) =>
        $"completed={Is(() => task.IsCompleted)} " +
        $"succeeded={Is(() => task.IsCompletedSuccessfully)} " +
        $"faulted={Is(() => task.IsFaulted)} canceled={Is(() => task.IsCanceled)}";

    /// <summary>A task that failed with a misuse is what vts makes of an error that is none.
    /// </summary>
    private static void MakeFailed(int slot, int code)
    {
        Exception? error = Error(code);
        if (error == null && Differences.D13_IsArgument()) error = new Misuse("argument");
        slots[slot] = new() { Task = ValueTask.FromException<long>(error!),
                              Failure = error is Misuse ? "argument" : $"{code}" };
    }

    private static void MakeCanceled(int slot) =>
        slots[slot] = new() { Task = ValueTask.FromCanceled<long>(new CancellationToken(true)),
                              Failure = "canceled" };

    private static void OnCompleted(Slot slot, ValueTaskSourceOnCompletedFlags flags, int k)
    {
        var registration = new Registration(_ => Run(k), null);
        bool isTask = slot.Source == null, wasCompleted = isTask && slot.Task.IsCompleted;
        bool isFirst = isTask && !wasCompleted && slot.Awaiters++ == 0;

        if (isTask && !wasCompleted && !(isFirst && Captures(flags)) && Differences.On)
            RunWithTask(slot.Task.AsTask(), isFirst, flags, registration);
        else
            Await(slot.Task, flags, registration);
        if (isTask && !wasCompleted && !Captures(flags) && !Differences.On)
            unqueued.Add((slot.Task.AsTask(), registration));
        if (!wasCompleted) return; // a source's adapter has done the rest
        registration.Wait();
        if (Differences.D5_RunsNow(false)) registration.RunNow(Flows(flags));
    }

    private static void Await(ValueTask<long> task, ValueTaskSourceOnCompletedFlags flags,
                              Registration registration)
    {
        bool captures = (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0;
        var awaiter = task.ConfigureAwait(captures).GetAwaiter();
        void Arrive() => Registration.Arrive(registration);

        if (Flows(flags)) awaiter.OnCompleted(Arrive);
        else awaiter.UnsafeOnCompleted(Arrive);
    }

    /// <summary>D19: when the task completes, there or posted, whoever else awaits it.
    /// </summary>
    private static void RunWithTask(Task task, bool isFirst,
                                    ValueTaskSourceOnCompletedFlags flags,
                                    Registration registration)
    {
        SynchronizationContext? captured =
            Captures(flags) ? SynchronizationContext.Current : null;
        void Continue(Task _)
        {
            SynchronizationContext? current = SynchronizationContext.Current;
            bool isHere = captured == null || captured == current;
            bool mayRun = isFirst && (captured != null || current == null);
            if (isHere && !mayRun) Differences.D19_RunsAll();
            if (isHere) Registration.Arrive(registration);
            else captured!.Post(Registration.Arrive, registration);
        }

        bool suppress = !Flows(flags);
        if (suppress) ExecutionContext.SuppressFlow();
        task.ContinueWith(Continue, CancellationToken.None,
                          TaskContinuationOptions.ExecuteSynchronously,
                          TaskScheduler.Default);
        if (suppress) ExecutionContext.RestoreFlow();
    }

    /// <summary>What a completed task has sent to the pool waits there when this returns.
    /// </summary>
    private static void WaitForTasks()
    {
        foreach (var (task, registration) in unqueued)
            if (task.IsCompleted) registration.WaitUntilQueued();
        unqueued.RemoveAll(one => one.Task.IsCompleted);
    }

    private static string AreEqual(Slot a, Slot b) =>
        Differences.D10_AreEqual(a, b) ?? a.Task == b.Task ? "equal" : "different";

    /// <summary>A preserved task that is pending would block; a source never does.</summary>
    private static string Result(Slot slot)
    {
        bool blocks = slot.Source == null && !slot.Task.IsCompleted;
        if (blocks) return Differences.D18_NeverBlocks() ? "not_completed" : "blocks";
        return $"ok {slot.Task.GetAwaiter().GetResult()}";
    }

    private static void Preserve(int slot)
    {
        Slot old = slots[slot];
        slots[slot] = new() { Task = Source.MakeTask(old.Task.Preserve),
                              Failure = old.Failure,
                              Preserved = old.Source != null ? new() : old.Preserved,
                              Awaiters = old.Awaiters };
    }

    private static string State(Task<long>? task)
    {
        if (task == null) return "none";
        return task.IsCompleted ? $"ok {task.GetAwaiter().GetResult()}" : "pending";
    }

    private static string Call(string name, int[] a)
    {
        switch (name)
        {
        case "reset": return Reset(sources[a[0]]);
        case "set_result": return Ok(() => sources[a[0]].SetResult(Generation(a), a[2]));
        case "set_error":
            return Ok(() => sources[a[0]].SetException(Generation(a), Error(a[2])));
        case "set_canceled":
            return Ok(() => sources[a[0]].SetException(Generation(a), Cancellation(a[2])));
        case "on_completed":
            return Ok(() => sources[a[0]].OnCompleted(
                          Continuation(a[3]), null, Token(a),
                          (ValueTaskSourceOnCompletedFlags)a[2]));
        case "unregister": return Ok(() => sources[a[0]].Unregister(Token(a)));
        case "get_status": return $"{sources[a[0]].GetStatus(Token(a))}".ToLowerInvariant();
        case "get_result": return $"ok {sources[a[0]].GetResult(Token(a))}";
        case "wrap": return Wrap(sources[a[0]]);
        case "task_result": return Ok(() => slots[a[0]] = new() { Task = new(a[1]) });
        case "task_error": return Ok(() => MakeFailed(a[0], a[1]));
        case "task_canceled": return Ok(() => MakeCanceled(a[0]));
        case "task_of":
            return Ok(() => slots[a[0]] = new() { Task = new(sources[a[1]], Token(a, 1)),
                                                  Source = sources[a[1]] });
        case "task_is": return Is(slots[a[0]].Task);
        case "task_get_result": return Result(slots[a[0]]);
        case "task_on_completed":
            return Ok(() => OnCompleted(slots[a[0]], (ValueTaskSourceOnCompletedFlags)a[1],
                                        a[2]));
        case "task_equals": return AreEqual(slots[a[0]], slots[a[1]]);
        case "as_task": return Ok(() => tasks[a[1]] = Source.MakeTask(slots[a[0]].Task.AsTask));
        case "preserve": return Ok(() => Preserve(a[0]));
        case "task_state": return State(tasks[a[0]]);
        case "scheduler":
            return Ok(() => SynchronizationContext.SetSynchronizationContext(
                          a[0] != 0 ? Queue.Ui : null));
        case "context": return Ok(() => context.Value = a[0]);
        case "run": return Ok(() => RunQueue(a[0]));
        default: throw new FormatException($"no operation is called {name}");
        }
    }

    private static void RunQueue(int which)
    {
        try
        {
            if (which == 0) Queue.Ui.Run("ui", Queue.Ui);
            else Queue.Pool.Run("pool", null);
        }
        finally
        {
            Place = "inline";
        }
    }

    private static string Outcome(string line)
    {
        string[] words = line.Split(' ');
        try
        {
            return Call(words[0], Array.ConvertAll(words[1..], int.Parse));
        }
        catch (Misuse misuse) { return misuse.Code; }
        catch (Failure failure) { return $"failed {failure.Code}"; }
        catch (Canceled canceled) { return $"failed {canceled.Code}"; }
        catch (OperationCanceledException) { return "failed canceled"; }
        catch (ArgumentNullException) when (Differences.D13_IsArgument()) { return "argument"; }
        catch (Exception e) when (e is not (FormatException or TimeoutException))
        {
            return e.GetType().Name;
        }
    }

    private static void Perform(string line)
    {
        string outcome = Outcome(line);
        if (depth == 0) WaitForTasks();
        Write($"{line} -> {outcome}");
    }

    // ---- sequences ----

    private static void MakeWorld(bool asynchronously, bool pooled)
    {
        Queue.Ui.Clear();
        Queue.Pool.Clear();
        SynchronizationContext.SetSynchronizationContext(null);
        context.Value = 0;
        for (int i = 0; i < Sources; i++) sources[i] = new(asynchronously, pooled);
        for (int i = 0; i < Slots; i++) slots[i] = new();
        Array.Clear(tasks);
        unqueued.Clear();
        scripts.Clear();
        main.Clear();
    }

    private static void PerformSequences()
    {
        List<string> into = main;
        while (Console.In.ReadLine() is { } line)
        {
            string[] words = line.Split(' ');
            switch (words[0])
            {
            case "seq":
                MakeWorld(words[2] == "1", words[3] == "1");
                into = main;
                Write(line);
                break;
            case "script": scripts[int.Parse(words[1])] = into = []; break;
            case "main": into = main; break;
            case "end": main.ForEach(Perform); break;
            default: into.Add(line); break;
            }
        }
    }

    private static int Main(string[] args)
    {
        Differences.On = args.Length == 2 && args[0] == "rules";
        if (!Differences.On && args is not ["raw"]) return 2;
        using (output) PerformSequences();
        if (Differences.On) File.WriteAllLines(args[1], Differences.Report());
        return 0;
    }
}
