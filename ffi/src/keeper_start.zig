//! Starting the keeper: clone(2) with execve(2) in the child, as in namespaces.zig, so that nothing of this process is in its
//! memory. Between the two the child may run nothing but system calls.
const std = @import("std");
const linux = std.os.linux;
const keeper = @import("keeper.zig");
const namespaces = @import("namespaces.zig");
const privileges = @import("privileges.zig");
const socket = @import("socket.zig");

/// The whole command line of the keeper, and its mark: an executable that has it (keeper_static.zig, keeper_main.zig)
/// is the keeper when it is started by this name.
pub const mark = "tls-tproxy-keeper";

/// Whether a process was started as the keeper.
pub fn is_mark(name: [*:0]const u8) bool {
    for (mark, 0..) |byte, at| if (name[at] != byte) return false;
    return name[mark.len] == 0;
}

pub fn start(path: [*:0]const u8, end: *i32) i32 {
    var ends: [2]i32 = undefined;
    const paired = socket.result(linux.socketpair(linux.AF.UNIX, linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK, 0, &ends));
    if (paired < 0) return paired;
    defer _ = linux.close(ends[1]);
    var failure: [2]i32 = undefined;
    const piped = socket.result(linux.pipe2(&failure, .{ .CLOEXEC = true }));
    if (piped < 0) return closed(ends[0], piped);
    const pid = socket.result(linux.syscall5(.clone, @intFromEnum(linux.SIG.CHLD), 0, 0, 0, 0));
    if (pid == 0) child(path, ends[1], failure);
    _ = linux.close(failure[1]);
    defer _ = linux.close(failure[0]);
    const started = if (pid < 0) pid else namespaces.outcome(pid, failure[0]);
    if (started < 0) return closed(ends[0], started);
    end.* = ends[0];
    return started;
}

fn closed(fd: i32, status: i32) i32 {
    _ = linux.close(fd);
    return status;
}

/// The pipe must not have the number that the socket gets.
fn child(path: [*:0]const u8, end: i32, failure: [2]i32) noreturn {
    _ = linux.close(failure[0]);
    const pipe = socket.result(linux.fcntl(failure[1], linux.F.DUPFD_CLOEXEC, keeper.proxy_fd + 10));
    const status = prepare(path, end, pipe);
    _ = linux.write(pipe, std.mem.asBytes(&status).ptr, @sizeOf(i32));
    linux.exit_group(1);
}

/// Returns only on failure. Every other descriptor ends with execve.
fn prepare(path: [*:0]const u8, end: i32, pipe: i32) i32 {
    if (pipe < 0) return pipe;
    const bound = namespaces.bind_to_parent(pipe);
    if (bound < 0) return bound;
    const placed = socket.result(linux.dup3(end, keeper.proxy_fd, 0));
    if (placed < 0 and end != keeper.proxy_fd) return placed;
    if (end == keeper.proxy_fd) _ = privileges.set_close_on_exec(end, false);
    _ = linux.syscall3(.close_range, keeper.proxy_fd + 1, std.math.maxInt(u32), close_range_cloexec);
    const confined = privileges.confine(1 << net_admin);
    if (confined < 0) return confined;
    const arguments = [1:null]?[*:0]const u8{mark};
    const environment = [0:null]?[*:0]const u8{};
    return socket.result(linux.execve(path, &arguments, &environment));
}

const net_admin = 12;
const close_range_cloexec = 4;
