/* A critical section for tests on a desktop: a spin lock stands in for the interrupt
   mask. */
static int vts_test_lock;

static inline unsigned vts_test_enter(void)
{
    while (__atomic_exchange_n(&vts_test_lock, 1, __ATOMIC_ACQUIRE) != 0) {}
    return 1;
}

static inline void vts_test_exit(unsigned state)
{
    (void)state;
    __atomic_store_n(&vts_test_lock, 0, __ATOMIC_RELEASE);
}

#define VTS_CRITICAL_ENTER() vts_test_enter()
#define VTS_CRITICAL_EXIT(state) vts_test_exit(state)
