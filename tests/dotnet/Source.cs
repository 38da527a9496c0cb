// Source.cs - .NET's source, its queues, and the adapter that differences apply to

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks.Sources;

/// <summary>The failure of an operation; its code is what vts would return.</summary>
sealed class Failure(int code) : Exception
{
    public int Code { get; } = code;
}

sealed class Canceled(int code) : OperationCanceledException
{
    public int Code { get; } = code;
}

/// <summary>Keeps what is posted, in order, with the context of the posting thread.</summary>
sealed class Queue : SynchronizationContext
{
    private readonly List<(Action Work, ExecutionContext Context)> posted = [];

    public static readonly Queue Ui = new();
    public static readonly Queue Pool = new();

    public int Posts { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => Add(() => d(state));

    public void Add(Action work)
    {
        lock (posted)
        {
            posted.Add((work, ExecutionContext.Capture()!));
            Posts++;
        }
    }

    public void Clear() => posted.Clear();

    /// <summary>Runs what was posted before the call.</summary>
    public void Run(string place, SynchronizationContext? current)
    {
        SynchronizationContext? previous = Current;
        var work = posted.ToArray();
        posted.Clear();
        SetSynchronizationContext(current);
        try
        {
            foreach (var (item, context) in work)
            {
                Trace.Place = place;
                ExecutionContext.Run(context, _ => item(), null);
            }
        }
        finally
        {
            SetSynchronizationContext(previous);
        }
    }

    /// <summary>Takes what was posted last and runs it as a completion would.</summary>
    public void RunLast(bool flows)
    {
        var (work, context) = posted[^1];
        posted.RemoveAt(posted.Count - 1);
        if (flows) ExecutionContext.Run(context, _ => work(), null);
        else work();
    }
}

/// <summary>A continuation on its way. On a pool thread it waits in Queue.Pool for the one
/// thread that performs the sequence, under the context it came with.</summary>
sealed class Registration(Action<object?> continuation, object? state)
{
    private readonly int posts = Queue.Ui.Posts;
    private volatile bool arrived;

    public bool HasRun { get; private set; }

    /// <summary>Whose result a task takes when this runs.</summary>
    public Source? TakesFrom { get; init; }

    public static void Arrive(object? self)
    {
        var registration = (Registration)self!;
        if (!Thread.CurrentThread.IsThreadPoolThread)
        {
            registration.Run();
            return;
        }
        Queue.Pool.Add(registration.Run);
        registration.arrived = true;
    }

    private void Run()
    {
        HasRun = true;
        TakesFrom?.TaskTakes();
        continuation(state);
    }

    /// <summary>Of a completed operation: until .NET ran it or queued it somewhere.</summary>
    public void Wait(int postsBefore)
    {
        WaitFor(() => HasRun || arrived || Queue.Ui.Posts != postsBefore);
    }

    public void WaitUntilQueued() => WaitFor(() => HasRun || arrived);

    private static void WaitFor(Func<bool> dispatched)
    {
        if (!SpinWait.SpinUntil(dispatched, 10000))
            throw new TimeoutException("a continuation was never dispatched");
    }

    public void Wait() => Wait(posts);

    /// <summary>D5, for what was just registered.</summary>
    public void RunNow(bool flows) =>
        (Queue.Ui.Posts != posts ? Queue.Ui : Queue.Pool).RunLast(flows);
}

/// <summary>ManualResetValueTaskSourceCore, or a source that returns to its pool of one when
/// the result is taken, with vts's calls.</summary>
sealed class Source : IValueTaskSource<long>
{
    private static bool makesTask;
    private readonly bool asynchronously, pooled;
    private ManualResetValueTaskSourceCore<long> core, beforeWaiter;
    private Registration? waiter;
    private bool taskTakes;

    public Source(bool asynchronously, bool pooled)
    {
        this.asynchronously = asynchronously;
        this.pooled = pooled;
        core.RunContinuationsAsynchronously = asynchronously;
    }

    public long Generation { get; private set; }
    public bool IsIdle { get; private set; } = true;
    public bool IsAwaitedLate { get; private set; }
    public bool IsPending =>
        !IsIdle && core.GetStatus(core.Version) == ValueTaskSourceStatus.Pending;
    public bool IsQueued => !IsPending && waiter is { HasRun: false };

    /// <summary>AsTask or Preserve: what they register is known as a task's.</summary>
    public static T MakeTask<T>(Func<T> make)
    {
        makesTask = true;
        try
        {
            return make();
        }
        finally
        {
            makesTask = false;
        }
    }

    /// <summary>A task asks for the status next, then for the result.</summary>
    public void TaskTakes() => taskTakes = true;

    private bool IsStale(short token) => IsIdle || token != core.Version;

    /// <summary>The next operation; of a pooled source, which is all its pool has, if it is
    /// back.</summary>
    public void Reset()
    {
        if (pooled && !IsIdle) throw new Misuse("pending");
        Differences.D7_NoResetInUse(this);
        if (!pooled || Generation == 0) core.Reset(); // else when it was returned
        Generation = core.Version;
        IsIdle = IsAwaitedLate = false;
        waiter = null;
    }

    public void SetResult(long generation, long result)
    {
        Differences.D2_LateCompleter(this, generation);
        Complete(() => core.SetResult(result));
    }

    public void SetException(long generation, Exception? error)
    {
        if (error != null) Differences.D2_LateCompleter(this, generation);
        Complete(() => core.SetException(error!));
    }

    private void Complete(Action complete)
    {
        var before = core;
        int posts = Queue.Ui.Posts;
        Registration? waiting = waiter;
        try
        {
            complete();
        }
        catch (Exception e) when (e is not ArgumentNullException &&
                                  Differences.D4_IsMisuse(e, false))
        {
            if (Differences.D3_HasNoEffect()) core = before;
            throw Differences.D4_Name(false, "already_completed");
        }
        waiting?.Wait(posts);
    }

    public ValueTaskSourceStatus GetStatus(short token)
    {
        bool fails = taskTakes && IsStale(token);
        taskTakes = false;
        if (fails && Differences.D20_TaskFails()) return ValueTaskSourceStatus.Faulted;
        Differences.D1_IdleIsStale(this);
        try
        {
            return core.GetStatus(token);
        }
        catch (Exception e) when (Differences.D4_IsMisuse(e, IsStale(token)))
        {
            throw Differences.D4_Name(true, "");
        }
    }

    public void OnCompleted(Action<object?> continuation, object? state, short token,
                            ValueTaskSourceOnCompletedFlags flags)
    {
        if (continuation == null) core.OnCompleted(continuation!, state, token, flags);
        Differences.D1_IdleIsStale(this);
        if (!IsStale(token)) Differences.D6_OneRegistration(this);
        var before = core;
        bool wasPending = IsPending;
        var registration = new Registration(continuation!, state)
            { TakesFrom = makesTask ? this : null };
        try
        {
            core.OnCompleted(Registration.Arrive, registration, token, flags);
        }
        catch (Exception e) when (Differences.D4_IsMisuse(e, IsStale(token)))
        {
            if (!IsStale(token) && Differences.D3_HasNoEffect()) core = before;
            throw Differences.D4_Name(IsStale(token), "already_awaited");
        }
        waiter = registration;
        beforeWaiter = before;
        if (!wasPending) RegisteredLate(registration, flags);
    }

    private void RegisteredLate(Registration registration,
                                ValueTaskSourceOnCompletedFlags flags)
    {
        bool captures = Trace.Captures(flags);
        registration.Wait();
        IsAwaitedLate = true;
        if (Differences.D5_RunsNow(asynchronously && !captures))
            registration.RunNow(Trace.Flows(flags));
    }

    public void Unregister(short token)
    {
        Differences.D8_Unregister();
        if (IsStale(token)) throw new Misuse("stale");
        if (!IsPending || waiter == null) throw new Misuse("not_awaited");
        core = beforeWaiter;
        waiter = null;
    }

    public long GetResult(short token)
    {
        Differences.D1_IdleIsStale(this);
        bool refused = IsStale(token) || IsPending;
        try
        {
            return core.GetResult(token);
        }
        catch (Exception e) when (Differences.D4_IsMisuse(e, IsStale(token)))
        {
            throw Differences.D4_Name(IsStale(token), "not_completed");
        }
        finally
        {
            if (pooled && !Differences.D12_StaysOut(refused)) Return();
        }
    }

    private void Return()
    {
        core.Reset();
        IsIdle = true;
    }
}
