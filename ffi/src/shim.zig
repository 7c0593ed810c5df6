//! Every export of the shim. src/native/abi.ts is the other side: change both, and the version.
const std = @import("std");
const linux = std.os.linux;
const repair_start = @import("repair_start.zig");
const namespaces = @import("namespaces.zig");
const packet = @import("packet.zig");
const privileges = @import("privileges.zig");
const secrecy = @import("secrecy.zig");
const netlink = @import("netlink.zig");
const sockaddr = @import("sockaddr.zig");
const socket = @import("socket.zig");
const waiting = @import("waiting.zig");

const abi_version = 11;
const ebadf: i32 = -@as(i32, @intFromEnum(linux.E.BADF));

pub export fn tproxy_abi_version() i32 {
    return abi_version;
}

/// Size of the flat address, compared with the reader's own at load.
pub export fn tproxy_address_size() i32 {
    return @sizeOf(sockaddr.Flat);
}

/// socket(2), close-on-exec and non-blocking.
pub export fn tproxy_socket(family: i32, kind: i32, protocol: i32) i32 {
    if (family < 0 or kind < 0 or protocol < 0) return socket.einval;
    return socket.open(family, kind, protocol);
}

/// Lets `fd` accept and originate traffic for addresses this host does not own: ip(7), IP_TRANSPARENT.
pub export fn tproxy_set_transparent(fd: i32, family: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.set_transparent(fd, family);
}

/// setsockopt(2) for an option whose value is an int.
pub export fn tproxy_set_integer(fd: i32, level: i32, name: i32, value: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.set_integer(fd, level, name, value);
}

/// True: close(2) sends RST instead of FIN: socket(7), SO_LINGER with a time of zero.
pub export fn tproxy_set_reset_on_close(fd: i32, on: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.set_reset_on_close(fd, on);
}

pub export fn tproxy_bind(fd: i32, address: ?*const sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.bind(fd, address orelse return socket.einval);
}

pub export fn tproxy_listen(fd: i32, backlog: i32) i32 {
    if (fd < 0) return ebadf;
    if (backlog < 0) return socket.einval;
    return socket.result(linux.listen(fd, @intCast(backlog)));
}

/// connect(2): -EINPROGRESS means that it is in progress.
pub export fn tproxy_connect(fd: i32, address: ?*const sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.connect(fd, address orelse return socket.einval);
}

/// getsockname(2): under TPROXY, the destination before interception.
pub export fn tproxy_local_address(fd: i32, address: ?*sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.local_address(fd, address orelse return socket.einval);
}

/// getpeername(2).
pub export fn tproxy_peer_address(fd: i32, address: ?*sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.peer_address(fd, address orelse return socket.einval);
}

/// State of a TCP socket as in tcp_states.h (1 ESTABLISHED, 2 SYN_SENT, 8 CLOSE_WAIT): tcp(7), TCP_INFO.
pub export fn tproxy_tcp_state(fd: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.tcp_state(fd);
}

/// How many bytes have arrived in order, read or not, counting the peer's FIN as one, modulo 2^31: tcp(7), TCP_INFO.
pub export fn tproxy_tcp_received(fd: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.tcp_received(fd);
}

/// struct tcp_info of a TCP socket, at most `size` bytes of it: tcp(7), TCP_INFO. Returns the number of bytes written.
pub export fn tproxy_tcp_info(fd: i32, into: ?[*]u8, size: u32) i32 {
    if (fd < 0) return ebadf;
    if (size > std.math.maxInt(i32)) return socket.einval;
    return socket.tcp_info(fd, (into orelse return socket.einval)[0..size]);
}

/// recv(2) with MSG_PEEK and MSG_DONTWAIT: the pending data, which stays pending.
pub export fn tproxy_peek(fd: i32, buffer: ?[*]u8, size: u32) i32 {
    if (fd < 0) return ebadf;
    return socket.peek(fd, buffer orelse return socket.einval, size);
}

/// How much many sockets have received and buffer: waiting.zig. `into` has one entry per descriptor.
pub export fn tproxy_waiting(fds: ?[*]const i32, count: u32, into: ?[*]waiting.Waiting) i32 {
    const sockets = (fds orelse return socket.einval)[0..count];
    waiting.look(sockets, into orelse return socket.einval);
    return 0;
}

/// madvise(2) for whole pages of this process.
pub export fn tproxy_advise(address: u64, size: u64, advice: u32) i32 {
    if (address % std.heap.page_size_min != 0 or size == 0) return socket.einval;
    return socket.result(linux.madvise(@ptrFromInt(address), size, advice));
}

/// Keeps only the capabilities in the mask, now and after execve: privileges.zig.
pub export fn tproxy_confine(keep: u64) i32 {
    return privileges.confine(keep);
}

/// Replaces this process by its own executable: privileges.zig. Returns only on failure.
pub export fn tproxy_replace(arguments: ?[*]const u8, arguments_size: u32, environment: ?[*]const u8, environment_size: u32) i32 {
    const argument_block = (arguments orelse return socket.einval)[0..arguments_size];
    const environment_block = (environment orelse return socket.einval)[0..environment_size];
    return privileges.replace(argument_block, environment_block);
}

/// Forbids a core file of this process: secrecy.zig.
pub export fn tproxy_forbid_core() i32 {
    return secrecy.forbid_core();
}

/// Forbids others to read this process's memory: secrecy.zig.
pub export fn tproxy_forbid_dump() i32 {
    return secrecy.forbid_dump();
}

/// Whether execve closes a descriptor: fcntl(2), FD_CLOEXEC.
pub export fn tproxy_set_close_on_exec(fd: i32, on: i32) i32 {
    if (fd < 0) return ebadf;
    return privileges.set_close_on_exec(fd, on != 0);
}

/// One datagram to the kernel: netlink(7).
pub export fn tproxy_netlink_send(fd: i32, bytes: ?[*]const u8, size: u32) i32 {
    if (fd < 0) return ebadf;
    return netlink.send(fd, bytes orelse return socket.einval, size);
}

/// One datagram from the kernel; its true length, which may be more than `size`.
pub export fn tproxy_netlink_receive(fd: i32, buffer: ?[*]u8, size: u32) i32 {
    if (fd < 0) return ebadf;
    return netlink.receive(fd, buffer orelse return socket.einval, size);
}

/// fcntl(2), F_DUPFD_CLOEXEC: another descriptor of the same socket.
pub export fn tproxy_duplicate(fd: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.duplicate(fd);
}

pub export fn tproxy_close(fd: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.result(linux.close(fd));
}

/// Starts this executable again in new namespaces: namespaces.zig. `flags` are clone(2)'s, `output` is the new
/// program's standard output; arguments and environment are blocks of strings ended by NUL.
pub export fn tproxy_enter(flags: u32, output: i32, arguments: ?[*]const u8, arguments_size: u32, environment: ?[*]const u8, environment_size: u32) i32 {
    if (output < 0) return ebadf;
    const argument_block = (arguments orelse return socket.einval)[0..arguments_size];
    const environment_block = (environment orelse return socket.einval)[0..environment_size];
    return namespaces.enter(flags, output, argument_block, environment_block);
}

/// Starts the repair process from an executable that contains it, by its path: repair_start.zig. `launcher` is the
/// result of `tproxy_launcher_start`, or -1; `end` receives our end of the socket between us. Returns its pid, or the
/// error of the first failing call, here or there.
pub export fn tproxy_repair_start(path: ?[*:0]const u8, launcher: i32, end: ?*i32) i32 {
    return repair_start.start(path orelse return socket.einval, launcher, end orelse return socket.einval);
}

/// Starts the repair process's launcher in the same way. Arguments, after its own name, and environment are blocks of
/// strings ended by NUL for the program that it starts.
pub export fn tproxy_launcher_start(path: ?[*:0]const u8, arguments: ?[*]const u8, arguments_size: u32, environment: ?[*]const u8, environment_size: u32, end: ?*i32) i32 {
    const argument_block = (arguments orelse return socket.einval)[0..arguments_size];
    const environment_block = (environment orelse return socket.einval)[0..environment_size];
    return repair_start.start_launcher(path orelse return socket.einval, argument_block, environment_block, end orelse return socket.einval);
}

/// poll(2) of one descriptor: those of `events` that are ready, 0 after this many milliseconds.
pub export fn tproxy_poll(fd: i32, events: i32, milliseconds: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.poll(fd, @truncate(events), milliseconds);
}

/// wait4(2) without waiting: the pid of an ended child, 0 while it runs. -1 is any.
pub export fn tproxy_reap(pid: i32) i32 {
    if (pid == 0 or pid < -1) return socket.einval;
    var status: u32 = 0;
    return socket.result(linux.wait4(pid, &status, linux.W.NOHANG, null));
}

/// wait4(2) until the child has ended: its exit status, or 128 plus its signal.
pub export fn tproxy_wait(pid: i32) i32 {
    if (pid <= 0) return socket.einval;
    return namespaces.wait(pid);
}

/// unshare(2) for the calling thread and threads that it starts later.
pub export fn tproxy_unshare(flags: u32) i32 {
    return socket.result(linux.unshare(flags));
}

/// mount(2) without data; both names end with NUL.
pub export fn tproxy_mount(kind: ?[*:0]const u8, target: ?[*:0]const u8, flags: u32) i32 {
    const name = kind orelse return socket.einval;
    return socket.result(linux.mount(name, target orelse return socket.einval, name, flags, 0));
}

/// pipe2(2), close-on-exec: the reading end, then the writing end.
pub export fn tproxy_pipe(ends: ?*[2]i32) i32 {
    return socket.result(linux.pipe2(ends orelse return socket.einval, .{ .CLOEXEC = true }));
}

/// Binds a packet socket to an interface: every frame that crosses it, in both directions.
pub export fn tproxy_packet_bind(fd: i32, interface: i32) i32 {
    if (fd < 0) return ebadf;
    if (interface <= 0) return socket.einval;
    return packet.bind(fd, interface);
}

/// One frame without waiting: its true length, even if `buffer` is smaller.
pub export fn tproxy_packet_receive(fd: i32, buffer: ?[*]u8, size: u32) i32 {
    if (fd < 0) return ebadf;
    return packet.receive(fd, (buffer orelse return socket.einval)[0..size]);
}

/// Frames seen and frames dropped since the last call: packet(7), PACKET_STATISTICS.
pub export fn tproxy_packet_statistics(fd: i32, into: ?*packet.Statistics) i32 {
    if (fd < 0) return ebadf;
    return packet.statistics(fd, into orelse return socket.einval);
}

test {
    std.testing.refAllDecls(@This());
    _ = @import("repair_test.zig");
    _ = repair_start;
    _ = namespaces;
    _ = privileges;
    _ = secrecy;
    _ = sockaddr;
    _ = waiting;
}

test "a bad descriptor is an error, not a crash" {
    try std.testing.expectEqual(ebadf, tproxy_close(-1));
    try std.testing.expectEqual(ebadf, tproxy_set_transparent(-1, linux.AF.INET));
    try std.testing.expectEqual(ebadf, tproxy_tcp_received(-1));
    try std.testing.expectEqual(ebadf, tproxy_tcp_info(-1, null, 0));
}
