//! Protects a process that holds a key: no core file, and no access to its memory. prctl(2), getrlimit(2).
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

/// No core file, also after an execve.
pub fn forbid_core() i32 {
    const none: linux.rlimit = .{ .cur = 0, .max = 0 };
    return socket.result(linux.prlimit(0, .CORE, &none, null));
}

/// No process without CAP_SYS_PTRACE can attach to this one or read its memory; execve(2) reverts this.
pub fn forbid_dump() i32 {
    return socket.result(linux.prctl(@intFromEnum(linux.PR.SET_DUMPABLE), 0, 0, 0, 0));
}

test "a process that forbids both has neither" {
    try std.testing.expectEqual(0, forbid_core());
    try std.testing.expectEqual(0, forbid_dump());
    try std.testing.expectEqual(0, linux.prctl(@intFromEnum(linux.PR.GET_DUMPABLE), 0, 0, 0, 0));
}
