/* What explore.h prints: failures with their traces, sums; options and replay. Part of
   explore.h. */

enum { X_NAMES = 64, X_OUTCOMES = 1024, X_EXCEPTIONS = 4 };

static struct {
    uintptr_t from, to;
    const char *name;
    x_writer writer;
} x_names[X_NAMES];
static int x_name_count;

static x_outcome x_sequential[X_OUTCOMES]; /* of the scenario's sequential orders */
static int x_sequential_count;
static char x_message[512];

static struct {
    const char *only, *replay;
    bool full, verbose, first, longer;
} x_option;

/* Of the scenario, or of the group. */
typedef struct x_total {
    int scenarios, bound, outcomes, spurious, disturbed;
    uint64_t digest; /* of the outcomes */
    unsigned long executions, cut;
    struct {
        const char *name;
        unsigned long count;
    } exception[X_EXCEPTIONS];
} x_total;
static x_total x_totals[X_MODES];
static struct {
    int scenarios, bounded;
    unsigned long executions[X_MODES];
} x_sum; /* of the program */
static uint64_t x_outcomes[X_OUTCOMES * 4]; /* hashed, in verbose mode */
static bool x_grouping, x_any_failed, x_replayed, x_silent;

// ----------------------------------------------------------------------------------
// Failure and trace
// ----------------------------------------------------------------------------------

void x_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(x_message, sizeof x_message, format, arguments);
    va_end(arguments);
    x_failed = true;
    x_resume(-1);
}

void x_forget_names(void) { x_name_count = 0; }

void x_name(const void *p, size_t size, const char *name, x_writer writer)
{
    if (x_name_count == X_NAMES) x_fail("too many names");
    x_names[x_name_count].from = (uintptr_t)p;
    x_names[x_name_count].to = (uintptr_t)p + size;
    x_names[x_name_count].name = name;
    x_names[x_name_count++].writer = writer;
}

/* Of what has several names, the one given last. */
const char *x_place(uintptr_t word, char *text, size_t size, x_writer *writer)
{
    int i;

    for (i = x_name_count; i-- > 0;) {
        unsigned long offset = (unsigned long)(word - x_names[i].from);
        if (word < x_names[i].from || word >= x_names[i].to) continue;
        *writer = x_names[i].writer;
        if (offset == 0) snprintf(text, size, "%s", x_names[i].name);
        else snprintf(text, size, "%s + %lu", x_names[i].name, offset);
        return text;
    }
    snprintf(text, size, "%#lx", (unsigned long)word);
    return text;
}

X_QUIET void x_print_value(const char *text, x_word value, x_writer writer)
{
    char written[64];

    snprintf(written, sizeof written, "%#lx", (unsigned long)value);
    if (writer != NULL) writer(written, sizeof written, value);
    printf("%s%s", text, written);
}

X_QUIET void x_print_step(int i)
{
    const x_step *s = &x_steps[i];
    x_writer writer = NULL;
    char place[64] = "";

    if (s->location >= 0) {
        uintptr_t word = (uintptr_t)x_locations[s->location].address;
        x_place(word, place, sizeof place, &writer);
    }
    printf("    %3d  %*s%d%*s %-14s %-24s", i, s->thread * 2, "", s->thread,
           (X_THREADS - s->thread) * 2, "", s->what, place);
    if (s->loaded) x_print_value(" reads ", s->was, writer);
    if (s->age > 0) printf(" (%d behind)", s->age);
    if (s->stored && !s->parking) x_print_value(" writes ", s->is, writer);
    if (s->spurious) printf(" and %s for no reason", s->parking ? "returns" : "fails");
    printf("\n");
}

X_QUIET void x_print_outcome(const x_outcome *outcome)
{
    int t, i;

    for (t = 0; t <= X_THREADS; t++) {
        for (i = 0; i < outcome->notes[t]; i++) {
            printf(" %s=%ld", outcome->note[t][i].label, outcome->note[t][i].value);
        }
        if (outcome->notes[t] > 0) printf(";");
    }
    for (i = 0; i < X_COUNTS; i++) {
        if (outcome->count[i] != 0) printf(" [%d]=%ld", i, outcome->count[i]);
    }
    printf("\n");
}

static const char *const x_mode_name[] = {"SEQ", "SC", "RA"};

/* NAME:MODE:STEPS, a step a digit for the thread and a letter for a choice but the first
   (an older store, failure for no reason). */
X_QUIET void x_write_id(char *id, size_t size)
{
    int length = snprintf(id, size, "%s:%s:", x_scene->name, x_mode_name[x_memory]), i;
    size_t n = (size_t)length;

    for (i = 0; i < x_at && n + 3 < size; i++) {
        id[n++] = (char)('0' + x_steps[i].thread);
        if (x_steps[i].choice > 0) id[n++] = (char)('a' + x_steps[i].choice - 1);
    }
    id[n] = 0;
}

/* The trace, its outcome, some that it should have been one of, and how to run it. */
void x_print_failure(void)
{
    char id[2048];
    int i;

    if (x_silent) return;
    printf("%sok %s: %s (%s)\n", x_failed ? "not " : "", x_scene->name, x_message,
           x_mode_name[x_memory]);
    for (i = 0; i < x_at; i++) x_print_step(i);
    printf("    outcome:");
    x_print_outcome(&x_result);
    for (i = 0; x_scene->linear && i < x_sequential_count && i < 12; i++) {
        printf("    in order:");
        x_print_outcome(&x_sequential[i]);
    }
    x_write_id(id, sizeof id);
    printf("    --replay '%s'\n", id);
    fflush(stdout);
}

// ----------------------------------------------------------------------------------
// Outcomes
// ----------------------------------------------------------------------------------

X_QUIET bool x_is_sequential(void)
{
    int i;

    for (i = 0; i < x_sequential_count; i++) {
        if (memcmp(&x_sequential[i], &x_result, sizeof x_result) == 0) return true;
    }
    return false;
}

X_QUIET void x_except(const char *name)
{
    x_total *total = &x_totals[x_memory];
    int i = 0;

    while (i < X_EXCEPTIONS - 1 && total->exception[i].count > 0 &&
           strcmp(total->exception[i].name, name) != 0) {
        i++;
    }
    total->exception[i].name = name;
    total->exception[i].count++;
}

/* To compare searches by: how many different outcomes there are. */
X_QUIET void x_count_outcome(void)
{
    const unsigned char *byte = (const unsigned char *)&x_result;
    const size_t most = sizeof x_outcomes / sizeof x_outcomes[0];
    uint64_t hash = 14695981039346656037u;
    size_t i;

    for (i = 0; i < sizeof x_result; i++) hash = (hash ^ byte[i]) * 1099511628211u;
    for (i = hash % most; x_outcomes[i] != 0; i = (i + 1) % most) {
        if (x_outcomes[i] == hash) return;
    }
    x_outcomes[i] = hash;
    x_totals[x_memory].digest += hash;
    if (++x_totals[x_memory].outcomes == (int)most) x_fail("too many outcomes");
}

/* Compares what the execution noted with the sequential orders, or collects it. */
void x_judge(void)
{
    const char *exception;

    if (x_option.verbose || x_silent) x_count_outcome();
    if (!x_scene->linear || x_is_sequential()) return;
    if (x_memory == X_SEQ) {
        if (x_sequential_count == X_OUTCOMES) x_fail("too many outcomes");
        x_sequential[x_sequential_count++] = x_result;
        return;
    }
    exception = x_scene->except != NULL ? x_scene->except() : NULL;
    if (exception == NULL) x_fail("no sequential order has this outcome");
    x_except(exception);
}

void x_count_execution(void)
{
    x_totals[x_memory].executions += !x_cut;
    x_totals[x_memory].cut += x_cut;
}

// ----------------------------------------------------------------------------------
// Scenarios, groups, options
// ----------------------------------------------------------------------------------

X_QUIET void x_print_totals(const char *name)
{
    int mode, i;

    for (mode = X_SC; mode <= X_RA; mode++) {
        const x_total *total = &x_totals[mode];
        if (total->scenarios == 0) continue;
        printf("ok %s: ", name);
        if (x_grouping) printf("%d scenarios, ", total->scenarios);
        printf("%lu executions (%s, ", total->executions, x_mode_name[mode]);
        if (total->bound == 0) printf("exhaustive");
        else printf("at most %d preemption%s", total->bound, total->bound > 1 ? "s" : "");
        if (total->spurious > 0) printf("; weak swaps, %d per thread", total->spurious);
        if (total->disturbed > 0) printf("; disturbed sleep, %d", total->disturbed);
        for (i = 0; i < X_EXCEPTIONS && total->exception[i].count > 0; i++) {
            printf("; %lu: %s", total->exception[i].count, total->exception[i].name);
        }
        if (x_option.verbose) printf("; %lu cut, %d outcomes", total->cut, total->outcomes);
        printf(")\n");
    }
    fflush(stdout);
}

X_QUIET bool x_is_mine(const char *id)
{
    size_t size = strlen(x_scene->name);

    return strncmp(id, x_scene->name, size) == 0 && id[size] == ':';
}

/* Runs the execution of an id. */
X_QUIET void x_run_id(const char *id)
{
    id += strlen(x_scene->name) + 1;
    for (x_memory = X_SEQ; x_memory < X_RA; x_memory++) {
        if (strncmp(id, x_mode_name[x_memory], strlen(x_mode_name[x_memory])) == 0) break;
    }
    memset(x_steps, 0, sizeof x_steps);
    x_reduced = false;
    x_bound = x_fresh = 0;
    id = strchr(id, ':');
    for (x_length = 0; id != NULL && *++id != 0 && x_length < X_STEPS - 1;) {
        if (*id < 'a') x_steps[x_length++].thread = (*id - '0') & 7;
        else if (x_length > 0) x_steps[x_length - 1].choice = *id - 'a' + 1;
    }
    snprintf(x_message, sizeof x_message, "replayed");
    x_execute();
}

/* All executions in one mode; the sequential one, which comes first, collects. */
X_QUIET bool x_fails_in(x_mode mode)
{
    if (x_option.verbose || x_silent) memset(x_outcomes, 0, sizeof x_outcomes);
    x_bound = x_option.longer ? x_scene->long_bound : x_scene->bound;
    if (mode == X_SEQ) x_bound = 0;
    x_reduced = mode != X_SEQ && !x_option.full && x_bound == 0;
    x_totals[mode].scenarios++;
    x_totals[mode].bound = x_bound;
    x_totals[mode].spurious = x_scene->spurious;
    x_totals[mode].disturbed = x_scene->disturbed;
    return x_fails(mode);
}

X_QUIET bool x_replay(void)
{
    if (!x_is_mine(x_option.replay)) return false;
    x_replayed = true;
    if (x_scene->linear && x_fails_in(X_SEQ)) return true;
    x_run_id(x_option.replay);
    x_print_failure();
    return x_failed;
}

X_QUIET void x_add_up(const x_total *before)
{
    int mode;

    x_sum.scenarios++;
    x_sum.bounded += x_bound != 0;
    for (mode = X_SC; mode < X_MODES; mode++) {
        x_sum.executions[mode] += x_totals[mode].executions - before[mode].executions;
    }
}

bool x_explore(const x_scenario *scenario)
{
    x_total before[X_MODES];
    bool failed;

    x_scene = scenario;
    x_sequential_count = 0;
    if (x_option.replay != NULL) {
        x_any_failed |= x_replay();
        return true;
    }
    if (x_option.only != NULL && strstr(scenario->name, x_option.only) == NULL) return true;
    if (!x_grouping) memset(x_totals, 0, sizeof x_totals);
    memcpy(before, x_totals, sizeof before);
    failed = (scenario->linear && x_fails_in(X_SEQ)) || x_fails_in(X_SC) || x_fails_in(X_RA);
    x_add_up(before);
    x_any_failed |= failed;
    if (failed && x_option.first) exit(EXIT_FAILURE);
    if (!failed && !x_grouping) x_print_totals(scenario->name);
    return !failed;
}

bool x_search(const x_scenario *scenario, x_mode mode)
{
    x_scene = scenario;
    x_silent = true;
    memset(x_totals, 0, sizeof x_totals);
    if (mode == X_SEQ) x_sequential_count = 0;
    return x_fails_in(mode);
}

x_summary x_found(void)
{
    const x_total *total = &x_totals[x_memory];
    x_summary found = {0};

    found.executions = total->executions;
    found.outcomes = total->outcomes;
    found.digest = total->digest;
    x_write_id(found.id, sizeof found.id);
    return found;
}

bool x_repeat(const x_scenario *scenario, const char *id)
{
    x_scene = scenario;
    x_silent = true;
    x_run_id(id);
    return x_failed;
}

void x_group(const char *name)
{
    if (name != NULL && x_grouping) x_print_totals(name);
    memset(x_totals, 0, sizeof x_totals);
    x_grouping = name == NULL && !x_option.verbose;
}

void x_options(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--full") == 0) {
            x_option.full = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            x_option.verbose = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            x_option.first = true;
        } else if (strcmp(argv[i], "--long") == 0) {
            x_option.longer = true;
        } else if (strcmp(argv[i], "--only") == 0 && more) {
            x_option.only = argv[++i];
        } else if (strcmp(argv[i], "--replay") == 0 && more) {
            x_option.replay = argv[++i];
        } else {
            fprintf(stderr,
                    "usage: %s [--only TEXT] [--replay ID] [--first] [--verbose] [--full]"
                    " [--long]\n"
                    "  --only     scenarios whose names have TEXT in them\n"
                    "  --replay   one execution, with its trace\n"
                    "  --first    end at the first failure\n"
                    "  --verbose  a line for each scenario of a group; outcomes\n"
                    "  --full     without reduction: for short scenarios\n"
                    "  --long     also what takes minutes: fewer bounds, more triples\n",
                    argv[0]);
            exit(2);
        }
    }
}

int x_status(void)
{
    if (x_option.replay != NULL && !x_replayed) {
        fprintf(stderr, "no such scenario: %s\n", x_option.replay);
        return 2;
    }
    if (x_sum.scenarios > 0) {
        printf("%12s %18s %18s %10s\n", "scenarios", "executions (SC)",
               "executions (RA)", "bounded");
        printf("%12d %18lu %18lu %10d\n", x_sum.scenarios, x_sum.executions[X_SC],
               x_sum.executions[X_RA], x_sum.bounded);
    }
    return x_any_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
