/* A completer meets a registration. CBMC follows no pointer that a thread writes, so the
   source and each thread's state are plain words here, seen through vts's own types. */
/* unreachable: vts__forget_run vts__run_queue_post vts__late_run vts__pooled_get_result
   unreachable: vts__pooled_take vts__recycle vts__pool_return vts__op_forget
   unreachable: vts__malloc vts__free vts__get_item vts__put_slow vts__queue
   unreachable: vts__trampoline_drain vts__source_run vts__dispatch_slow vts__enqueue
   unreachable: vts__misuse */
#define VTS_IMPLEMENTATION
#define VTS_SINGLE_THREADED /* no thread-local storage: proof_self stands for it */
#define VTS_ATOMICS_HEADER "tests/cbmc/atomics.h"
#define vts__self (*proof_self())
#include "vts.h"

static vts_word self_words[3][sizeof(vts__thread) / sizeof(vts_word)];
static _Thread_local vts_word *self_at = self_words[0];
static vts__thread *proof_self(void) { return (vts__thread *)(void *)self_at; }

static vts_word words[sizeof(vts_source) / sizeof(vts_word)];
#define SOURCE ((vts_source *)(void *)words)

static unsigned runs;
static vts_word completed, registered; /* released: what a thread did comes before   */
static int completion, registration;

static void on_completed(void *arg)
{
    vts_word word = vts__load_acq(&SOURCE->word);
    vts_word result = vts__load_rlx(&SOURCE->result);

    runs++;
    __CPROVER_assert(vts__phase(word) == VTS__SUCCEEDED, "completed when it runs");
    __CPROVER_assert(result == 7, "the result is visible when it runs");
    __CPROVER_assert((uintptr_t)arg == 5, "the argument is the registered one");
}

int main(void)
{
    vts_token token;

    vts_source_init(SOURCE, NULL);
    vts_source_reset(SOURCE, &token);
__CPROVER_ASYNC_1: {
    self_at = self_words[1];
    completion = vts_source_set_result(SOURCE, token, 7);
    vts__store_rel(&completed, 1);
}
__CPROVER_ASYNC_2: {
    self_at = self_words[2];
    registration = vts_source_on_completed(SOURCE, token, on_completed,
                                           (void *)(uintptr_t)5, VTS_NONE);
    vts__store_rel(&registered, 1);
}
    __CPROVER_assume(completed && registered);
    __CPROVER_assert(completion == VTS_OK, "the completer wins");
    __CPROVER_assert(registration == VTS_OK, "the registration succeeds");
    __CPROVER_assert(runs == 1, "the continuation runs once");
}
