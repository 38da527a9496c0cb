/* The sleep of vts.h for tests/meanwhile.h (VTS__PARKING_HEADER): what was to come in the
   middle comes now; a sleep that it does not end would last for ever. */
static bool vts__wait(vts_word *word, vts_word value, vts_time deadline)
{
    void (*call)(void *arg) = meanwhile.call;

    (void)deadline;
    meanwhile.call = NULL;
    if (call != NULL) call(meanwhile.arg);
    if (*word != value) return true;
    abort();
}

static void vts__wake(vts_word *word) { (void)word; }
