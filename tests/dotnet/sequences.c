// sequences.c - prints random sequences of operations for the two trace programs
//
// usage: sequences SEED COUNT. The same seed gives the same text. A sequence:
//
//     seq NUMBER RCA POOLED     continuations run asynchronously; sources are pooled
//     script K                  what continuation K does: the lines that follow
//     main                      what the sequence does: the lines that follow
//     end
//
// An operation is a name and integers: sources and slots of value tasks by index, tokens
// relative to the source's current generation (TOKEN_ZERO: never issued), continuations by
// script (-1: null). No model stands behind the choice: most calls are right because most
// tokens are current and because some operations are told from reset to result, the others
// are the misuse that the traces must agree about.

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRIPTS 6
#define SCRIPT_OPS 3
#define TOKEN_ZERO (-1000)

/* What stands for an argument: S source, T token, V value, E error, e one of
   a few, F flags, K continuation, k one that is not null, X slot of a value task, Y of a
   task, B 0 or 1, C context. */
typedef struct operation {
    const char *name;
    const char *arguments;
    int weight;
    int weight_in_script;
} operation;

static const operation operations[] = {
    {"reset", "S", 12, 10},
    {"set_result", "STV", 12, 10},
    {"set_error", "STE", 4, 3},
    {"set_canceled", "STE", 4, 3},
    {"on_completed", "STFK", 16, 10},
    {"unregister", "ST", 3, 2},
    {"get_status", "ST", 8, 4},
    {"get_result", "ST", 12, 12},
    {"task_result", "XV", 2, 1},
    {"task_error", "Xe", 7, 1},
    {"task_canceled", "X", 1, 1},
    {"task_of", "XST", 6, 2},
    {"task_is", "X", 5, 3},
    {"task_get_result", "X", 5, 4},
    {"task_on_completed", "XFk", 6, 2},
    {"task_equals", "XX", 7, 1},
    {"scheduler", "B", 5, 0},
    {"context", "C", 5, 3},
    {"run", "B", 10, 0},
    {"as_task", "XY", 4, 2},
    {"preserve", "X", 3, 1},
    {"task_state", "Y", 5, 2},
};

#define OPERATIONS (int)(sizeof operations / sizeof *operations)

static uint64_t state;

/* splitmix64. */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* From low to high, both included. */
static int between(int low, int high)
{
    return low + (int)(next() % (uint64_t)(high - low + 1));
}

static int token(void)
{
    int dice = between(0, 99);

    if (dice < 84) return 0;
    if (dice < 91) return -1;
    if (dice < 93) return -2;
    if (dice < 97) return 1;
    return TOKEN_ZERO;
}

/* A script names later scripts only: no chain of continuations is endless. */
static int continuation(int script, int lowest)
{
    return script + 1 < SCRIPTS ? between(script + lowest, SCRIPTS - 1) : SCRIPTS;
}

static int argument(char kind, int script)
{
    switch (kind) {
    case 'S': return between(0, 9) < 6 ? 0 : 1;
    case 'T': return token();
    case 'V': return between(-9, 99);
    case 'E': return between(0, 9) == 0 ? 0 : between(-9, -1);
    case 'e': return between(-2, 0);
    case 'F': return between(0, 3);
    case 'K': return between(0, 24) == 0 ? -1 : continuation(script, 1);
    case 'k': return continuation(script, 1);
    case 'C': return between(0, 3);
    case 'B': return between(0, 1);
    default: return between(0, 2);
    }
}

static int weight(const operation *op, int script)
{
    return script < 0 ? op->weight : op->weight_in_script;
}

static const operation *choose(int script)
{
    int sum = 0, i = 0, dice;

    for (i = 0; i < OPERATIONS; i++) sum += weight(&operations[i], script);
    dice = between(0, sum - 1);
    for (i = 0; dice >= weight(&operations[i], script); i++) {
        dice -= weight(&operations[i], script);
    }
    return &operations[i];
}

/* script: whose operations these are, -1 for main. */
static void print_operations(int count, int script)
{
    while (count-- > 0) {
        const operation *op = choose(script);
        printf("%s", op->name);
        for (const char *kind = op->arguments; *kind != '\0'; kind++) {
            printf(" %d", argument(*kind, script));
        }
        putchar('\n');
    }
}

static void print_completion(int source)
{
    static const char *const completions[] = {"set_result", "set_error", "set_canceled"};
    printf("%s %d 0 %d\n", completions[between(0, 2)], source, argument('E', -1));
}

/* An operation as it should be, with others in between. */
static int print_story(void)
{
    int source = argument('S', -1), others = between(0, 2);

    printf("reset %d\n", source);
    printf("on_completed %d 0 %d %d\n", source, argument('F', -1), argument('k', -1));
    print_operations(others, -1);
    print_completion(source);
    printf("run %d\nget_result %d 0\n", argument('B', -1), source);
    return others + 5;
}

/* The same of an operation that becomes a task while it is pending: any number await it. */
static int print_task_story(void)
{
    int source = argument('S', -1), slot = argument('X', -1), task = argument('Y', -1);
    int awaiters = between(0, 3);

    printf("reset %d\ntask_of %d %d 0\n", source, slot, source);
    if (between(0, 2) != 0) printf("preserve %d\n", slot);
    printf("as_task %d %d\n", slot, task);
    for (int i = 0; i < awaiters; i++) {
        printf("scheduler %d\ncontext %d\n", argument('B', -1), argument('C', -1));
        printf("task_on_completed %d %d %d\n", slot, argument('F', -1), argument('k', -1));
    }
    if (between(0, 3) == 0) printf("task_get_result %d\n", slot);
    print_operations(between(0, 2), -1);
    print_completion(source);
    if (between(0, 7) == 0) printf("get_result %d 0\n", source);
    printf("run 1\ntask_get_result %d\nrun 0\ntask_state %d\n", slot, task);
    return 9 + 3 * awaiters;
}

static void print_main(int count)
{
    if (between(0, 9) != 0) puts("reset 0");
    if (between(0, 3) != 0) puts("reset 1");
    printf("scheduler %d\ncontext %d\n", argument('B', -1), argument('C', -1));
    while (count > 0) {
        int dice = count > 5 ? between(0, 11) : 11;
        if (dice > 1) print_operations(1, -1);
        count -= dice == 0 ? print_story() : dice == 1 ? print_task_story() : 1;
    }
}

static void print_sequence(int number)
{
    printf("seq %d %d %d\n", number, between(0, 2) == 0, between(0, 2) == 0);
    for (int script = 0; script <= SCRIPTS; script++) {
        printf("script %d\n", script);
        print_operations(script < SCRIPTS ? between(0, SCRIPT_OPS) : 0, script);
    }
    puts("main");
    print_main(between(5, 35));
    puts("end");
}

int main(int argc, char **argv)
{
    int count;

    if (argc != 3) {
        fprintf(stderr, "usage: %s SEED COUNT\n", argv[0]);
        return 2;
    }
    state = strtoull(argv[1], NULL, 10);
    count = atoi(argv[2]);
    for (int number = 0; number < count; number++) print_sequence(number);
    return 0;
}
