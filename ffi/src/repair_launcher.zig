//! The launcher: a process beside the repair process that was started before the proxy dropped its privileges, and
//! holds the proxy's executable, arguments and environment. On request of the repair process it starts the program
//! with them to read policy and name servers, collects its output about the rules, and passes it on as a whole. It
//! takes no other requests, and none from the proxy.
//!
//! The launcher and its children hold CAP_NET_ADMIN, and never use it: a process of the same user may trace another
//! one only if it has all of its capabilities (ptrace(2)), and the proxy no longer has this one. Right after
//! execve(2) nothing else would keep the proxy out.
const std = @import("std");
const linux = std.os.linux;
const confine = @import("repair_confine.zig");
const namespaces = @import("namespaces.zig");
const socket = @import("socket.zig");

pub const repair_fd = 0;
/// The executable that the proxy was started from.
pub const program_fd = 3;

/// The parts, with their frames.
const output_bytes_max = 17 << 20;
const run_ms_max = 20_000;

pub const Command = struct { arguments: [*:null]const ?[*:0]const u8, environment: [*:null]const ?[*:0]const u8 };

/// Never returns: exits with the repair process.
pub fn run(command: Command) noreturn {
    offer_to_die_first();
    confine.settle("tls-tproxy-laun");
    const raw = linux.mmap(null, output_bytes_max, .{ .READ = true, .WRITE = true }, .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true }, -1, 0);
    if (@as(isize, @bitCast(raw)) < 0) linux.exit_group(1);
    const buffer = @as([*]align(std.heap.page_size_min) u8, @ptrFromInt(raw))[0..output_bytes_max];
    while (true) {
        await_request();
        var reason: [reason_bytes_max]u8 = undefined;
        var reason_length: usize = 0;
        if (collect(command, buffer, &reason, &reason_length)) |output| {
            send(output);
            end(0, &.{});
        } else end(1, reason[0..reason_length]);
        _ = linux.madvise(buffer.ptr, buffer.len, linux.MADV.DONTNEED);
    }
}

/// Its children briefly need memory of the proxy's container: if there is too little, they end and not the proxy, and
/// the rules stay. A process that is not dumpable may no longer set this. proc_pid_oom_score_adj(5).
fn offer_to_die_first() void {
    const fd = socket.result(linux.open("/proc/self/oom_score_adj", .{ .ACCMODE = .WRONLY, .CLOEXEC = true }, 0));
    if (fd < 0) return;
    _ = linux.write(fd, "1000", 4);
    _ = linux.close(fd);
}

/// Only the repair process needs the request's number.
fn await_request() void {
    var number: [4]u8 = undefined;
    var length: usize = 0;
    while (length < number.len) {
        const got = socket.result(linux.recvfrom(repair_fd, number[length..].ptr, number.len - length, 0, null, null));
        if (got <= 0) linux.exit_group(0);
        length += @intCast(got);
    }
}

fn end(status: u32, reason: []const u8) void {
    send(std.mem.asBytes(&[3]u32{ end_kind, status, @intCast(reason.len) }));
    if (reason.len > 0) send(reason);
}

fn send(bytes: []const u8) void {
    var rest = bytes;
    while (rest.len > 0) {
        const sent = socket.result(linux.sendto(repair_fd, rest.ptr, rest.len, linux.MSG.NOSIGNAL, null, 0));
        if (sent <= 0) linux.exit_group(0);
        rest = rest[@intCast(sent)..];
    }
}

/// The program's output when started with the proxy's arguments and environment; null unless it succeeds. Then `reason`
/// has the beginning of what it wrote to stderr, or its exit code or signal.
fn collect(command: Command, buffer: []u8, reason: *[reason_bytes_max]u8, reason_length: *usize) ?[]const u8 {
    var output: [2]i32 = undefined;
    if (socket.result(linux.pipe2(&output, .{ .CLOEXEC = true })) < 0) return null;
    defer _ = linux.close(output[0]);
    // A file in memory: whatever the program writes there, it does not wait for a reader.
    const errors = socket.result(linux.memfd_create("errors", linux.MFD.CLOEXEC));
    defer if (errors >= 0) {
        _ = linux.close(errors);
    };
    const pid = socket.result(linux.syscall5(.clone, @intFromEnum(linux.SIG.CHLD), 0, 0, 0, 0));
    if (pid == 0) child(command, output, errors);
    _ = linux.close(output[1]);
    if (pid < 0) return null;
    const length = read_all(output[0], buffer);
    if (length == null) _ = linux.kill(pid, linux.SIG.KILL);
    const status = namespaces.wait(pid);
    if (status == 0) if (length) |whole| return buffer[0..whole];
    reason_length.* = reason_of(errors, status, reason);
    return null;
}

fn reason_of(errors: i32, status: i32, reason: *[reason_bytes_max]u8) usize {
    const length = if (errors < 0) 0 else socket.result(linux.pread(errors, reason, reason.len, 0));
    if (length > 0) return @intCast(length);
    const text = if (status > 128)
        std.fmt.bufPrint(reason, "it was ended by signal {d}", .{status - 128})
    else
        std.fmt.bufPrint(reason, "its exit code was {d}", .{status});
    return (text catch return 0).len;
}

/// Null if the output is too long or takes too long.
fn read_all(fd: i32, buffer: []u8) ?usize {
    const until = now() + run_ms_max;
    var length: usize = 0;
    while (true) {
        var watched = [2]linux.pollfd{ .{ .fd = fd, .events = linux.POLL.IN, .revents = 0 }, .{ .fd = repair_fd, .events = 0, .revents = 0 } };
        const left = until - now();
        if (left <= 0) return null;
        _ = linux.poll(&watched, watched.len, @intCast(left));
        if (watched[1].revents != 0) linux.exit_group(0);
        if (watched[0].revents == 0) continue;
        const got = socket.result(linux.read(fd, buffer[length..].ptr, buffer.len - length));
        if (got == 0) return if (length == buffer.len) null else length;
        if (got < 0) return null;
        length += @intCast(got);
    }
}

fn now() i64 {
    var time: linux.timespec = undefined;
    _ = linux.syscall2(.clock_gettime, @intFromEnum(linux.CLOCK.MONOTONIC), @intFromPtr(&time));
    return @as(i64, time.sec) * 1000 + @divTrunc(@as(i64, time.nsec), 1_000_000);
}

/// The program does not inherit the socket to the repair process.
fn child(command: Command, output: [2]i32, errors: i32) noreturn {
    _ = linux.close(output[0]);
    if (namespaces.bind_to_parent(output[1]) < 0) linux.exit_group(1);
    // The pipe may have the number of a standard stream.
    const pipe = socket.result(linux.fcntl(output[1], linux.F.DUPFD_CLOEXEC, program_fd + 1));
    if (pipe < 0) linux.exit_group(1);
    const null_fd = socket.result(linux.open("/dev/null", .{ .ACCMODE = .RDWR, .CLOEXEC = true }, 0));
    if (null_fd < 0) linux.exit_group(1);
    const stderr = if (errors < 0) null_fd else socket.result(linux.fcntl(errors, linux.F.DUPFD_CLOEXEC, program_fd + 1));
    if (null_fd != 0 and socket.result(linux.dup3(null_fd, 0, 0)) < 0) linux.exit_group(1);
    if (stderr != 2 and socket.result(linux.dup3(stderr, 2, 0)) < 0) linux.exit_group(1);
    if (socket.result(linux.dup3(pipe, 1, 0)) < 0) linux.exit_group(1);
    _ = linux.syscall3(.close_range, 3, std.math.maxInt(u32), close_range_cloexec);
    const none: u64 = 0;
    _ = linux.syscall4(.rt_sigprocmask, linux.SIG.SETMASK, @intFromPtr(&none), 0, @sizeOf(u64));
    _ = linux.syscall5(.execveat, program_fd, @intFromPtr(""), @intFromPtr(command.arguments), @intFromPtr(command.environment), linux.AT.EMPTY_PATH);
    linux.exit_group(1);
}

const close_range_cloexec = 4;
/// repair_next.zig has the same.
const reason_bytes_max = 512;
/// channel.Kind.end
const end_kind = 8;
