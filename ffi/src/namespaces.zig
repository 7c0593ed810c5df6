//! Enters namespaces: clone(2) with execve(2) in the child, because unshare(CLONE_NEWUSER) refuses a program with
//! threads (user_namespaces(7)), and every Bun program has some. This export is more than a system call: between the
//! two the child may only make system calls.
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

const strings_max = 64;
const Strings = [strings_max + 1:null]?[*:0]const u8;

/// Starts this executable again in the namespaces of `flags`, with `output` as its standard output. Both blocks are
/// strings ended by NUL. The child dies with the calling thread. Returns its pid, or the error of the first failing
/// call in the parent or in the child.
pub fn enter(flags: u32, output: i32, arguments: []const u8, environment: []const u8) i32 {
    var request: Request = .{ .output = output };
    if (!point(&request.arguments, arguments)) return socket.einval;
    if (!point(&request.environment, environment)) return socket.einval;
    request.user_map = map_text(&request.user_buffer, linux.geteuid());
    request.group_map = map_text(&request.group_buffer, linux.getegid());
    request.maps = flags & linux.CLONE.NEWUSER != 0;
    var failure: [2]i32 = undefined;
    const piped = socket.result(linux.pipe2(&failure, .{ .CLOEXEC = true }));
    if (piped < 0) return piped;
    const pid = socket.result(linux.syscall5(.clone, flags | @intFromEnum(linux.SIG.CHLD), 0, 0, 0, 0));
    if (pid == 0) child(&request, failure);
    _ = linux.close(failure[1]);
    defer _ = linux.close(failure[0]);
    return if (pid < 0) pid else outcome(pid, failure[0]);
}

const Request = struct {
    output: i32,
    arguments: Strings = @splat(null),
    environment: Strings = @splat(null),
    maps: bool = false,
    user_buffer: [32]u8 = undefined,
    group_buffer: [32]u8 = undefined,
    user_map: []const u8 = "",
    group_map: []const u8 = "",
};

/// The pipe closes at execve: an empty read means that the child runs.
pub fn outcome(pid: i32, pipe: i32) i32 {
    var status: i32 = 0;
    while (true) {
        const length = socket.result(linux.read(pipe, std.mem.asBytes(&status).ptr, @sizeOf(i32)));
        if (length == -@as(i32, @intFromEnum(linux.E.INTR))) continue;
        if (length != @sizeOf(i32)) return pid;
        _ = wait(pid);
        return status;
    }
}

fn child(request: *const Request, failure: [2]i32) noreturn {
    const status = prepare(request, failure);
    _ = linux.write(failure[1], std.mem.asBytes(&status).ptr, @sizeOf(i32));
    linux.exit_group(1);
}

/// Returns only on failure.
fn prepare(request: *const Request, failure: [2]i32) i32 {
    _ = linux.close(failure[0]);
    const bound = bind_to_parent(failure[1]);
    if (bound < 0) return bound;
    if (request.maps) {
        const written = write_maps(request);
        if (written < 0) return written;
    }
    const output = socket.result(linux.dup3(request.output, 1, 0));
    if (output < 0 and request.output != 1) return output;
    return socket.result(linux.execve("/proc/self/exe", &request.arguments, &request.environment));
}

/// If the parent died before prctl(2), the pipe has no reader.
pub fn bind_to_parent(pipe: i32) i32 {
    const status = socket.result(linux.prctl(@intFromEnum(linux.PR.SET_PDEATHSIG), @intFromEnum(linux.SIG.KILL), 0, 0, 0));
    if (status < 0) return status;
    var watched = [1]linux.pollfd{.{ .fd = pipe, .events = 0, .revents = 0 }};
    _ = linux.poll(&watched, 1, 0);
    return if (watched[0].revents & linux.POLL.ERR != 0) -@as(i32, @intFromEnum(linux.E.PIPE)) else 0;
}

/// One id is root inside; without "deny" an ordinary user may not write gid_map: user_namespaces(7).
fn write_maps(request: *const Request) i32 {
    const users = put("/proc/self/uid_map", request.user_map);
    if (users < 0) return users;
    const groups = put("/proc/self/setgroups", "deny");
    if (groups < 0) return groups;
    return put("/proc/self/gid_map", request.group_map);
}

fn put(path: [*:0]const u8, text: []const u8) i32 {
    const fd = socket.result(linux.open(path, .{ .ACCMODE = .WRONLY, .CLOEXEC = true }, 0));
    if (fd < 0) return fd;
    defer _ = linux.close(fd);
    return socket.result(linux.write(fd, text.ptr, text.len));
}

fn map_text(buffer: *[32]u8, id: u32) []const u8 {
    return std.fmt.bufPrint(buffer, "0 {d} 1\n", .{id}) catch unreachable; // 15 bytes at most.
}

/// False if there are too many strings or the last is not terminated.
fn point(strings: *Strings, block: []const u8) bool {
    if (block.len > 0 and block[block.len - 1] != 0) return false;
    var from: usize = 0;
    for (strings) |*string| {
        if (from == block.len) return true;
        const end = std.mem.indexOfScalarPos(u8, block, from, 0) orelse return false;
        string.* = block[from..end :0];
        from = end + 1;
    }
    return from == block.len and strings[strings_max] == null;
}

/// wait4(2): the exit status, or 128 plus the signal as in shells.
pub fn wait(pid: i32) i32 {
    while (true) {
        var status: u32 = 0;
        const waited = socket.result(linux.wait4(pid, &status, 0, null));
        if (waited == -@as(i32, @intFromEnum(linux.E.INTR))) continue;
        if (waited < 0) return waited;
        const signal: i32 = @intCast(status & 0x7f);
        return if (signal == 0) @intCast(status >> 8 & 0xff) else 128 + signal;
    }
}

test "the strings of a block are found, up to the limit" {
    var strings: Strings = @splat(null);
    try std.testing.expect(point(&strings, "one\x00\x00three\x00"));
    try std.testing.expectEqualStrings("one", std.mem.span(strings[0].?));
    try std.testing.expectEqualStrings("", std.mem.span(strings[1].?));
    try std.testing.expectEqualStrings("three", std.mem.span(strings[2].?));
    try std.testing.expectEqual(null, strings[3]);
    try std.testing.expect(!point(&strings, "no end"));
    try std.testing.expect(point(&strings, "x\x00" ** strings_max));
    try std.testing.expect(!point(&strings, "x\x00" ** (strings_max + 1)));
}

test "a map names one id" {
    var buffer: [32]u8 = undefined;
    try std.testing.expectEqualStrings("0 4294967295 1\n", map_text(&buffer, 4294967295));
}
