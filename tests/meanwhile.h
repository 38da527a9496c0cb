/* A replacement of the >>atomics section (VTS_ATOMICS_HEADER) that lets a call happen in
   the middle of another: before the atomic operation whose turn it is. */
static struct {
    void (*call)(void *arg); /* once; NULL: nothing gets in between              */
    void *arg;
    unsigned turn;           /* atomic operations that go before it              */
} meanwhile;

static inline void meanwhile_step(void)
{
    void (*call)(void *arg) = meanwhile.call;

    if (call == NULL || meanwhile.turn-- > 0) return;
    meanwhile.call = NULL;
    call(meanwhile.arg);
}

static inline vts_word vts__load_rlx(const vts_word *p)
{
    meanwhile_step();
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline vts_word vts__load_acq(const vts_word *p)
{
    meanwhile_step();
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void vts__store_rlx(vts_word *p, vts_word v)
{
    meanwhile_step();
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void vts__store_rel(vts_word *p, vts_word v)
{
    meanwhile_step();
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    meanwhile_step();
    return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static inline vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    meanwhile_step();
    return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);
}

static inline vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    meanwhile_step();
    return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);
}
