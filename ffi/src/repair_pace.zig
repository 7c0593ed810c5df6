//! The delay before the repair process repeats a repair that another process undoes again and again. Pure.
const std = @import("std");

const ms = std.time.ns_per_ms;
const gap_least = 5 * ms;
const gap_of_many = 100 * ms;
/// This number in a second counts as many.
const many = 20;
const gap_of_failure_most = 1000 * ms;

/// Times are nanoseconds of a monotonic clock.
pub const Pace = struct {
    last: u64 = 0,
    gap: u64 = 0,
    second: u64 = 0,
    count: u32 = 0,

    /// Nanoseconds from `now` until the next attempt.
    pub fn wait(self: *const Pace, now: u64) i64 {
        const due = self.last + self.gap;
        return if (now >= due) 0 else @intCast(due - now);
    }

    /// Records an attempt: after failures the delay grows, after a success it is zero.
    pub fn done(self: *Pace, now: u64, well: bool) void {
        if (now - self.second >= std.time.ns_per_s) {
            self.second = now;
            self.count = 0;
        }
        self.count += 1;
        self.last = now;
        self.gap = if (!well) @min(@max(self.gap, gap_least) * 2, gap_of_failure_most) else if (self.count > many) gap_of_many else gap_least;
    }
};

test "the first repair is immediate, a few are quick, and many leave time for other work" {
    var pace: Pace = .{};
    var now: u64 = 77 * std.time.ns_per_s;
    try std.testing.expectEqual(0, pace.wait(now));
    pace.done(now, true);
    try std.testing.expectEqual(gap_least, pace.wait(now));
    for (0..many) |_| {
        now += gap_least;
        pace.done(now, true);
    }
    try std.testing.expectEqual(gap_of_many, pace.wait(now));
    now += 2 * std.time.ns_per_s;
    pace.done(now, true);
    try std.testing.expectEqual(gap_least, pace.wait(now));
}

test "repeated failures end in one attempt a second" {
    var pace: Pace = .{};
    var now: u64 = 1;
    for (0..20) |_| {
        pace.done(now, false);
        now += 1;
    }
    try std.testing.expectEqual(gap_of_failure_most, pace.wait(now - 1));
}
