//! Statics initialised at first use by one thread, while others wait: Itanium C++ ABI, 3.3.2.
extern fn sched_yield() c_int;

/// The first byte says that the static is initialised, as in the ABI; the second is ours: a thread is initialising
/// it.
const Guard = [8]u8;

/// 1: the caller initialises it, then calls release. 0: it is initialised.
export fn __cxa_guard_acquire(guard: *Guard) c_int {
    while (true) {
        if (@atomicLoad(u8, &guard[0], .acquire) != 0) return 0;
        if (@cmpxchgStrong(u8, &guard[1], 0, 1, .acquire, .monotonic) == null) break;
        _ = sched_yield();
    }
    // It may have been initialised between the check and the lock.
    if (@atomicLoad(u8, &guard[0], .acquire) == 0) return 1;
    @atomicStore(u8, &guard[1], 0, .release);
    return 0;
}

export fn __cxa_guard_release(guard: *Guard) void {
    @atomicStore(u8, &guard[0], 1, .release);
    @atomicStore(u8, &guard[1], 0, .release);
}
