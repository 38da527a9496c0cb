/* The >>atomics of vts.h as CBMC's memory models know them: a fence for each order. A
   macro where the address of a local would make CBMC take the local for shared. */
static VTS__INLINE vts_word vts__load_rlx(const vts_word *p) { return *p; }

static VTS__INLINE vts_word vts__load_acq(const vts_word *p)
{
    vts_word v = *p;
    __CPROVER_fence("RRfence", "RWfence", "RRcumul", "RWcumul");
    return v;
}

static VTS__INLINE void vts__store_rlx(vts_word *p, vts_word v) { *p = v; }

static VTS__INLINE void vts__store_rel(vts_word *p, vts_word v)
{
    __CPROVER_fence("WWfence", "RWfence", "WWcumul", "RWcumul");
    *p = v;
}

#define ACQ_REL()                                                                      \
    __CPROVER_fence("WWfence", "RRfence", "RWfence", "WWcumul", "RRcumul", "RWcumul")

static VTS__INLINE vts_word proof_swap(vts_word *p, vts_word expected, vts_word v)
{
    __CPROVER_atomic_begin();
    vts_word old = *p;
    ACQ_REL();
    if (old == expected) *p = v;
    __CPROVER_atomic_end();
    ACQ_REL();
    return old;
}
#define vts__cas_acq_rel(p, e, v)                                                      \
    ({                                                                                 \
        vts_word proof_old = proof_swap((p), *(e), (v));                               \
        bool proof_equal = proof_old == *(e);                                          \
        *(e) = proof_old;                                                              \
        proof_equal;                                                                   \
    })

static VTS__INLINE vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    __CPROVER_atomic_begin();
    vts_word old = *p;
    ACQ_REL();
    *p = v;
    __CPROVER_atomic_end();
    ACQ_REL();
    return old;
}

static VTS__INLINE vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    __CPROVER_atomic_begin();
    vts_word old = *p;
    ACQ_REL();
    *p = old + v;
    __CPROVER_atomic_end();
    ACQ_REL();
    return old;
}
