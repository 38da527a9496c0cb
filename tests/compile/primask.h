/* The critical section of a Cortex-M, as a user would write it. */
static inline unsigned primask_enter(void)
{
    unsigned state;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(state)::"memory");
    return state;
}

static inline void primask_exit(unsigned state)
{
    __asm__ volatile("msr primask, %0" ::"r"(state) : "memory");
}

#define VTS_CRITICAL_ENTER() primask_enter()
#define VTS_CRITICAL_EXIT(state) primask_exit(state)
