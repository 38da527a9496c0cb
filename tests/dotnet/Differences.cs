// Differences.cs - what vts does differently from .NET on purpose, one rule each
//
// The names are those of vts.h, >>differences. A rule makes .NET's source answer as vts
// does, in the one case it is about, and counts: a difference that never shows in a run is
// an error of the run. Without the rules (Differences.On false) .NET answers for itself;
// differences.txt holds a sequence for each that shows both behaviours.
//
// Not here, because no trace of one thread shows them: those that dotnet.sh lists.

using System;
using System.Collections.Generic;
using System.Threading.Tasks.Sources;

/// <summary>A call that is refused, by the name of vts's return code.</summary>
sealed class Misuse(string code) : Exception
{
    public string Code { get; } = code;
}

static class Differences
{
    public static bool On;

    private static readonly string[] names =
        ["D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D10", "D12", "D13",
         "D18", "D19", "D20"];
    private static readonly int[] seen = new int[names.Length];

    private static bool Saw(string name)
    {
        seen[Array.IndexOf(names, name)]++;
        return true;
    }

    public static IEnumerable<string> Report()
    {
        for (int i = 0; i < names.Length; i++) yield return $"{names[i]} {seen[i]}";
    }

    /// <summary>D1: a source is idle before its first reset, there version 0 is pending.
    /// A pooled one is idle between its operations.</summary>
    public static void D1_IdleIsStale(Source source)
    {
        if (On && source.IsIdle && Saw("D1")) throw new Misuse("stale");
    }

    /// <summary>D2: completers carry the token.</summary>
    public static void D2_LateCompleter(Source source, long generation)
    {
        if (On && (source.IsIdle || generation != source.Generation) && Saw("D2"))
            throw new Misuse("stale");
    }

    /// <summary>D3: a call that fails has no effect.</summary>
    public static bool D3_HasNoEffect() => On && Saw("D3");

    /// <summary>D4: each misuse has its own code; there all are InvalidOperationException,
    /// but that a wrong token may get the failure of the operation that is current, and a
    /// second registration with a scheduling context an InvalidCastException.</summary>
    public static bool D4_IsMisuse(Exception e, bool isStale) =>
        On && (isStale || e is InvalidOperationException or InvalidCastException) && Saw("D4");

    public static Misuse D4_Name(bool isStale, string otherwise) =>
        new(isStale ? "stale" : otherwise);

    /// <summary>D4, of a question: a handle that is stale is nothing that is asked for.
    /// </summary>
    public static bool D4_AnswersNo(Misuse misuse) => misuse.Code == "stale" && Saw("D4");

    /// <summary>D5: what registers after completion is run before the call returns, unless
    /// run_continuations_asynchronously sends it away; there it is always queued.</summary>
    public static bool D5_RunsNow(bool sendsAway) => On && !sendsAway && Saw("D5");

    /// <summary>D6: one registration per operation, also after completion.</summary>
    public static void D6_OneRegistration(Source source)
    {
        if (On && source.IsAwaitedLate && Saw("D6")) throw new Misuse("already_awaited");
    }

    /// <summary>D7: no reset while an operation is pending or its continuation queued.
    /// </summary>
    public static void D7_NoResetInUse(Source source)
    {
        if (On && (source.IsPending || source.IsQueued) && Saw("D7"))
            throw new Misuse("pending");
    }

    /// <summary>D8: a continuation can be unregistered: the source is as it was before.
    /// </summary>
    public static void D8_Unregister()
    {
        if (!On) throw new NotSupportedException();
        Saw("D8");
    }

    /// <summary>D10: tasks that failed at once are alike if their errors are, two that were
    /// made of sources are two; there each is a Task of its own, but that Task.FromResult
    /// has one for all results 0.</summary>
    public static bool? D10_AreEqual(Slot a, Slot b)
    {
        bool alike = a.Failure != null && a.Failure == b.Failure;
        bool two = a.Preserved != null && b.Preserved != null && a.Preserved != b.Preserved;
        return On && (alike || two) && alike != (a.Task == b.Task) && Saw("D10") ? alike : null;
    }

    /// <summary>D12: a pooled source whose result is refused stays out; there a finally
    /// block returns it.</summary>
    public static bool D12_StaysOut(bool refused) => On && refused && Saw("D12");

    /// <summary>D13: null, in place of a continuation or an error, is a bad argument.
    /// </summary>
    public static bool D13_IsArgument() => On && Saw("D13");

    /// <summary>D18: asking a pending task for its result does not block.</summary>
    public static bool D18_NeverBlocks() => On && Saw("D18");

    /// <summary>D19: all who await a task run when it completes; there the first does, if
    /// the thread has no scheduler or just the one that was captured.</summary>
    public static void D19_RunsAll() => Saw("D19");

    /// <summary>D20: a task whose result somebody else took fails; there it stays pending
    /// and the exception is the completer's.</summary>
    public static bool D20_TaskFails() => On && Saw("D20");
}
