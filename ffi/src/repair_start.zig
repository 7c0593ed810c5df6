//! Starts the repair process and the launcher: clone(2) with execve(2) in the child, as in namespaces.zig, so that
//! their memory contains nothing of this process. Between the two the child may only make system calls.
const std = @import("std");
const linux = std.os.linux;
const repair = @import("repair.zig");
const launcher = @import("repair_launcher.zig");
const namespaces = @import("namespaces.zig");
const privileges = @import("privileges.zig");
const socket = @import("socket.zig");

/// The repair process's whole command line, and its mark: an executable that contains it (repair_static.zig,
/// repair_main.zig) becomes the repair process when it is started by this name.
pub const mark = "tls-tproxy-repair";

/// The launcher's name; the command line that it must start follows.
pub const launcher_mark = "tls-tproxy-launcher";

/// True if a process was started by this name.
pub fn is(name: [*:0]const u8, wanted: []const u8) bool {
    for (wanted, 0..) |byte, at| if (name[at] != byte) return false;
    return name[wanted.len] == 0;
}

/// `kept` is the repair process's end of its socket to the launcher, or below 0. `end` receives our end.
pub fn start(path: [*:0]const u8, kept: i32, end: *i32) i32 {
    const command: Command = .{ .path = path, .arguments = &.{mark}, .environment = &.{}, .kept = kept };
    return begin(&command, linux.SOCK.NONBLOCK, end);
}

/// Both blocks are strings ended by NUL; `end` receives the repair process's end.
pub fn start_launcher(path: [*:0]const u8, arguments: []const u8, environment: []const u8, end: *i32) i32 {
    const strings = privileges.pointed(arguments, environment) orelse return socket.einval;
    const command: Command = .{ .path = path, .arguments = strings[0], .environment = strings[1], .kept = own_executable };
    return begin(&command, 0, end);
}

const Command = struct {
    path: [*:0]const u8,
    arguments: [*:null]const ?[*:0]const u8,
    environment: [*:null]const ?[*:0]const u8,
    /// The child's descriptor at `kept_fd`; none if below 0.
    kept: i32,
};

/// This process's own executable, even if its file was replaced.
const own_executable = -100;
const kept_fd = repair.launcher_fd;
comptime {
    std.debug.assert(kept_fd == launcher.program_fd and repair.proxy_fd == launcher.repair_fd);
}

fn begin(command: *const Command, flags: u32, end: *i32) i32 {
    var ends: [2]i32 = undefined;
    const paired = socket.result(linux.socketpair(linux.AF.UNIX, linux.SOCK.STREAM | linux.SOCK.CLOEXEC | flags, 0, &ends));
    if (paired < 0) return paired;
    defer _ = linux.close(ends[1]);
    var failure: [2]i32 = undefined;
    const piped = socket.result(linux.pipe2(&failure, .{ .CLOEXEC = true }));
    if (piped < 0) return closed(ends[0], piped);
    const pid = socket.result(linux.syscall5(.clone, @intFromEnum(linux.SIG.CHLD), 0, 0, 0, 0));
    if (pid == 0) child(command, ends[1], failure);
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

/// The pipe must not have a number that another descriptor needs.
fn child(command: *const Command, end: i32, failure: [2]i32) noreturn {
    _ = linux.close(failure[0]);
    const pipe = socket.result(linux.fcntl(failure[1], linux.F.DUPFD_CLOEXEC, free_fd));
    const status = prepare(command, end, pipe);
    _ = linux.write(pipe, std.mem.asBytes(&status).ptr, @sizeOf(i32));
    linux.exit_group(1);
}

/// Returns only on failure. Every other descriptor is closed by execve.
fn prepare(command: *const Command, end: i32, pipe: i32) i32 {
    if (pipe < 0) return pipe;
    const bound = namespaces.bind_to_parent(pipe);
    if (bound < 0) return bound;
    const aside = set_aside(command.kept);
    if (aside < 0 and command.kept != nothing) return aside;
    const placed = socket.result(linux.dup3(end, repair.proxy_fd, 0));
    if (placed < 0 and end != repair.proxy_fd) return placed;
    if (end == repair.proxy_fd) _ = privileges.set_close_on_exec(end, false);
    _ = linux.syscall3(.close_range, repair.proxy_fd + 1, std.math.maxInt(u32), close_range_cloexec);
    if (aside >= 0) {
        const kept = socket.result(linux.dup3(aside, kept_fd, 0));
        if (kept < 0) return kept;
    }
    const confined = privileges.confine(1 << net_admin);
    if (confined < 0) return confined;
    return socket.result(linux.execve(command.path, command.arguments, command.environment));
}

fn set_aside(kept: i32) i32 {
    if (kept == nothing) return nothing;
    const fd = if (kept == own_executable) socket.result(linux.open("/proc/self/exe", .{ .CLOEXEC = true }, 0)) else kept;
    return if (fd < 0) fd else socket.result(linux.fcntl(fd, linux.F.DUPFD_CLOEXEC, free_fd));
}

const nothing = -1;
const free_fd = 10;
const net_admin = 12;
const close_range_cloexec = 4;
