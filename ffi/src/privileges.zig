//! Drops capabilities for good: capabilities(7). They belong to threads, and a Bun program has many: so one thread
//! changes its own, and replaces the whole process by execve(2).
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

const strings_max = 65_536;
const Strings = [strings_max + 1:null]?[*:0]const u8;

/// Keeps only `keep` from here on, also after execve: for root, for an ordinary user with file capabilities, and for
/// one with ambient ones. prctl(2), capset(2).
pub fn confine(keep: u64) i32 {
    const sealed = socket.result(linux.prctl(@intFromEnum(linux.PR.SET_NO_NEW_PRIVS), 1, 0, 0, 0));
    if (sealed < 0) return sealed;
    var header: Header = .{ .version = version_3, .pid = 0 };
    const low: u32 = @truncate(keep);
    const high: u32 = @truncate(keep >> 32);
    const data = [2]Data{ .{ .effective = low, .permitted = low, .inheritable = low }, .{ .effective = high, .permitted = high, .inheritable = high } };
    const set = socket.result(linux.syscall2(.capset, @intFromPtr(&header), @intFromPtr(&data)));
    if (set < 0) return set;
    for (0..64) |bit| {
        if (keep >> @intCast(bit) & 1 == 0) continue;
        const raised = socket.result(linux.prctl(@intFromEnum(linux.PR.CAP_AMBIENT), ambient_raise, bit, 0, 0));
        if (raised < 0) return raised;
    }
    return 0;
}

/// execve(2) of this executable; returns only on failure. Both blocks are strings ended by NUL. Uses the first
/// argument as its path, because tools show a process under that name; uses /proc if the file was replaced.
pub fn replace(arguments: []const u8, environment: []const u8) i32 {
    if (!point(&argument_strings, arguments) or !point(&environment_strings, environment)) return socket.einval;
    if (argument_strings[0]) |path| _ = linux.execve(path, &argument_strings, &environment_strings);
    return socket.result(linux.execve("/proc/self/exe", &argument_strings, &environment_strings));
}

/// Both blocks in execve(2)'s form, valid until the next call; null if there are too many strings or the last is not
/// terminated.
pub fn pointed(arguments: []const u8, environment: []const u8) ?[2][*:null]const ?[*:0]const u8 {
    if (!point(&argument_strings, arguments) or !point(&environment_strings, environment)) return null;
    return .{ &argument_strings, &environment_strings };
}

/// Too large for the stack of a JavaScript thread.
var argument_strings: Strings = @splat(null);
var environment_strings: Strings = @splat(null);

/// FD_CLOEXEC: whether execve closes a descriptor.
pub fn set_close_on_exec(fd: i32, on: bool) i32 {
    return socket.result(linux.fcntl(fd, linux.F.SETFD, if (on) linux.FD_CLOEXEC else 0));
}

/// False if there are too many strings or the last is not terminated.
fn point(strings: *Strings, block: []const u8) bool {
    @memset(strings, null);
    if (block.len > 0 and block[block.len - 1] != 0) return false;
    var from: usize = 0;
    for (strings[0..strings_max]) |*string| {
        if (from == block.len) return true;
        const end = std.mem.indexOfScalarPos(u8, block, from, 0) orelse return false;
        string.* = block[from..end :0];
        from = end + 1;
    }
    return from == block.len;
}

/// linux/capability.h
const Header = extern struct { version: u32, pid: i32 };
const Data = extern struct { effective: u32, permitted: u32, inheritable: u32 };
const version_3 = 0x20080522;
const ambient_raise = 2;

test "the strings of a block are found, up to the limit" {
    var strings: Strings = undefined;
    try std.testing.expect(point(&strings, "a\x00b\x00"));
    try std.testing.expectEqualStrings("b", std.mem.span(strings[1].?));
    try std.testing.expect(strings[2] == null);
    try std.testing.expect(!point(&strings, "x\x00" ** (strings_max + 1)));
    try std.testing.expect(!point(&strings, "no end"));
}
