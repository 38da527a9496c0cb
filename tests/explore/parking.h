/* The part of vts.h's >>parking that sleeps, for the explorer: a futex of explore.h. Each
   thread has a clock of its own, which stands still but for deadlines that come. Included
   by vts.h through VTS__PARKING_HEADER. */
static vts_time model_time[X_THREADS + 1];

X_QUIET vts_time model_clock(void) { return model_time[x_now + 1]; }
X_QUIET void set_model_time(vts_time now) { model_time[x_now + 1] = now; }

/* Like the system's, says that the deadline is past when it is asked again. Who looks
   again each millisecond is woken by nobody: he goes on when the word has changed. */
X_QUIET bool vts__wait(vts_word *word, vts_word value, vts_time deadline)
{
    if (deadline <= vts_now()) return false;
    if (deadline - vts_now() == VTS_MILLISECONDS(1)) {
        x_spin(word, value);
        return true;
    }
    if (!x_wait(word, value, deadline != VTS_NEVER)) set_model_time(deadline);
    return true;
}

X_QUIET void vts__wake(vts_word *word) { x_wake(word, false); }
