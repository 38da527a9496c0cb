/* The weaker orders that an order mutant calls for: macros, so that they mean the
   explorer's operations where those are included later, and the compiler's elsewhere. */
#ifndef MUTANTS_WEAK_H
#define MUTANTS_WEAK_H

#ifdef MUTANT_EXPLORED
#define vts__cas_rel(p, e, v) x_cas((p), (e), (v), X_REL, X_ACQ)
#define vts__cas_acq(p, e, v) x_cas((p), (e), (v), X_ACQ, X_ACQ)
#define vts__cas_fail_rlx(p, e, v) x_cas((p), (e), (v), X_ACQ_REL, X_RLX)
#define vts__xchg_acq(p, v) x_exchange((p), (v), X_ACQ)
#define vts__xchg_rel(p, v) x_exchange((p), (v), X_REL)
#define vts__add_acq(p, v) x_add((p), (v), X_ACQ)
#define vts__add_rel(p, v) x_add((p), (v), X_REL)
#else
/* A failure order that is stronger than the one for success is not to be had here. */
#define vts__cas_rel(p, e, v)                                                          \
    __atomic_compare_exchange_n((p), (e), (v), 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define vts__cas_acq(p, e, v)                                                          \
    __atomic_compare_exchange_n((p), (e), (v), 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define vts__cas_fail_rlx(p, e, v)                                                     \
    __atomic_compare_exchange_n((p), (e), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
#define vts__xchg_acq(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define vts__xchg_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define vts__add_acq(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define vts__add_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#endif

#endif
