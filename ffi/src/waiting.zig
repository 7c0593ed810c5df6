//! How much each of many sockets has received and buffers: three system calls per socket, one call across the
//! boundary. One call each would cost more than the queries (src/tls/unverified.ts asks ten times a second, for
//! thousands).
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

/// tcp_states.h
const established = 1;
/// tcpi_bytes_received is at byte 128 of struct tcp_info; its first byte is the state: linux/tcp.h.
const received_index = 16;

/// Two numbers per socket. Zero for one that is gone.
pub const Waiting = extern struct {
    /// Bytes that were read from the socket: those received less those still unread.
    read: u32,
    /// Kernel memory of the unread data, including its overhead; at least 1 if the peer has ended.
    kernel: u32,
};

pub fn look(fds: []const i32, into: [*]Waiting) void {
    for (fds, 0..) |fd, index| into[index] = look_at(fd) orelse .{ .read = 0, .kernel = 0 };
}

fn look_at(fd: i32) ?Waiting {
    const unread = unread_of(fd) orelse return null;
    var info: [17]u64 = @splat(0);
    var length: linux.socklen_t = @sizeOf(@TypeOf(info));
    const status = socket.result(linux.getsockopt(fd, linux.IPPROTO.TCP, linux.TCP.INFO, @ptrCast(&info), &length));
    if (status < 0) return null;
    const read = info[received_index] -| unread;
    const ended: u32 = @intFromBool(std.mem.asBytes(&info)[0] != established);
    return .{ .read = @truncate(@min(read, std.math.maxInt(u32))), .kernel = @max(ended, kernel_of(fd)) };
}

/// SIOCINQ: tcp(7).
fn unread_of(fd: i32) ?u32 {
    var unread: i32 = 0;
    const status = socket.result(linux.ioctl(fd, linux.T.FIONREAD, @intFromPtr(&unread)));
    return if (status < 0) null else @intCast(@max(0, unread));
}

/// SO_MEMINFO, whose first number is SK_MEMINFO_RMEM_ALLOC: linux/sock_diag.h, since Linux 4.12.
fn kernel_of(fd: i32) u32 {
    var info: [9]u32 = @splat(0);
    var length: linux.socklen_t = @sizeOf(@TypeOf(info));
    const so_meminfo = 55;
    const status = socket.result(linux.getsockopt(fd, linux.SOL.SOCKET, so_meminfo, @ptrCast(&info), &length));
    return if (status < 0) 0 else info[0];
}

test "a bad descriptor and one that is no TCP socket have nothing" {
    var into: [2]Waiting = undefined;
    look(&.{ -1, 0 }, &into);
    for (into) |one| try std.testing.expectEqual(Waiting{ .read = 0, .kernel = 0 }, one);
}
