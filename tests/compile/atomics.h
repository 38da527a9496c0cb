/* A replacement of the >>atomics section, as VTS_ATOMICS_HEADER takes one: everything
   sequentially consistent. */
static inline vts_word vts__load_rlx(const vts_word *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline vts_word vts__load_acq(const vts_word *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline void vts__store_rlx(vts_word *p, vts_word v)
{
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static inline void vts__store_rel(vts_word *p, vts_word v)
{
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static inline bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static inline vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

static inline vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
