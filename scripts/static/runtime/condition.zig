//! std::condition_variable, which is a pthread_cond_t, and std::chrono::steady_clock.
extern fn pthread_cond_broadcast(condition: *Condition) c_int;
extern fn pthread_cond_signal(condition: *Condition) c_int;
extern fn pthread_cond_wait(condition: *Condition, mutex: *anyopaque) c_int;
extern fn pthread_cond_destroy(condition: *Condition) c_int;
extern fn clock_gettime(clock: c_int, time: *[2]i64) c_int;

/// pthread_cond_t of musl on x86-64: all zero if no thread waits on it.
const Condition = [48]u8;
/// std::unique_lock<std::mutex>: the mutex, which is a pthread_mutex_t, then whether it is held.
const UniqueLock = extern struct { mutex: *anyopaque, owns: bool };

export fn _ZNSt18condition_variableC1Ev(condition: *Condition) void {
    @memset(condition, 0);
}

export fn _ZNSt18condition_variableD1Ev(condition: *Condition) void {
    _ = pthread_cond_destroy(condition);
}

export fn _ZNSt18condition_variable10notify_allEv(condition: *Condition) void {
    _ = pthread_cond_broadcast(condition);
}

export fn _ZNSt18condition_variable10notify_oneEv(condition: *Condition) void {
    _ = pthread_cond_signal(condition);
}

export fn _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(condition: *Condition, lock: *const UniqueLock) void {
    _ = pthread_cond_wait(condition, lock.mutex);
}

/// Nanoseconds of CLOCK_MONOTONIC.
export fn _ZNSt6chrono3_V212steady_clock3nowEv() i64 {
    var time: [2]i64 = undefined;
    _ = clock_gettime(1, &time);
    return time[0] * 1_000_000_000 + time[1];
}
