//! A process that holds a key: no core file of it, and no look into its memory. prctl(2), getrlimit(2).
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

/// No core file, for what is executed after this as well.
pub fn forbid_core() i32 {
    const none: linux.rlimit = .{ .cur = 0, .max = 0 };
    return socket.result(linux.prlimit(0, .CORE, &none, null));
}

/// Nobody attaches to this process or reads its memory without CAP_SYS_PTRACE; execve(2) takes that back.
pub fn forbid_dump() i32 {
    return socket.result(linux.prctl(@intFromEnum(linux.PR.SET_DUMPABLE), 0, 0, 0, 0));
}

test "a process that forbids both has neither" {
    try std.testing.expectEqual(0, forbid_core());
    try std.testing.expectEqual(0, forbid_dump());
    try std.testing.expectEqual(0, linux.prctl(@intFromEnum(linux.PR.GET_DUMPABLE), 0, 0, 0, 0));
}
