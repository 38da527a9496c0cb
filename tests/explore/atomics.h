/* The >>atomics section of vts.h for the explorer: each operation is a step of explore.h,
   with the order that its name has. Included by vts.h through VTS_ATOMICS_HEADER. */
static inline vts_word vts__load_rlx(const vts_word *p) { return x_load(p, X_RLX); }
static inline vts_word vts__load_acq(const vts_word *p) { return x_load(p, X_ACQ); }
static inline void vts__store_rlx(vts_word *p, vts_word v) { x_store(p, v, X_RLX); }
static inline void vts__store_rel(vts_word *p, vts_word v) { x_store(p, v, X_REL); }

static inline bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    return x_cas(p, expected, v, X_ACQ_REL, X_ACQ);
}

static inline vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    return x_exchange(p, v, X_ACQ_REL);
}

static inline vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    return x_add(p, v, X_ACQ_REL);
}
