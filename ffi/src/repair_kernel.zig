//! The repair process's sockets to the kernel: netlink(7). Each result is a value >= 0 or -errno.
const std = @import("std");
const linux = std.os.linux;
const numbers = @import("repair_numbers.zig");
const socket = @import("socket.zig");
const wire = @import("repair_wire.zig");

pub const Family = enum(u32) { route = 0, diag = 4, netfilter = 12 };

/// A socket for requests.
pub fn open_requests(of: Family) i32 {
    return open(of, 0);
}

/// A socket that receives the notices of these multicast groups.
pub fn open_notices(of: Family, groups: []const u32) i32 {
    var mask: u32 = 0;
    for (groups) |group| mask |= @as(u32, 1) << @intCast(group - 1);
    return open(of, mask);
}

fn open(of: Family, groups: u32) i32 {
    const fd = socket.open(linux.AF.NETLINK, linux.SOCK.RAW, @intCast(@intFromEnum(of)));
    if (fd < 0) return fd;
    _ = socket.set_integer(fd, linux.SOL.SOCKET, linux.SO.SNDBUFFORCE, buffer_bytes);
    _ = socket.set_integer(fd, linux.SOL.SOCKET, linux.SO.RCVBUFFORCE, buffer_bytes);
    const address: Address = .{ .groups = groups };
    const bound = socket.result(linux.bind(fd, @ptrCast(&address), @sizeOf(Address)));
    return if (bound < 0) bound else fd;
}

/// The port of a socket; the notices that its requests cause carry it.
pub fn port_of(fd: i32) u32 {
    var address: Address = .{};
    var length: linux.socklen_t = @sizeOf(Address);
    _ = linux.getsockname(fd, @ptrCast(&address), &length);
    return address.port;
}

/// Sends requests and reads all their acknowledgements; returns 0 or the first error. The kernel has executed a
/// request when send(2) returns, and its answers are then available.
pub fn request(fd: i32, bytes: []const u8, buffer: []u8) i32 {
    const sent = send(fd, bytes);
    if (sent < 0) return sent;
    var refusal: i32 = 0;
    while (receive(fd, buffer)) |datagram| {
        if (datagram.len == 0) refusal = lost;
        var messages: wire.Messages = .{ .rest = datagram };
        while (messages.next()) |message| if (refusal == 0) {
            refusal = refusal_of(message);
        };
    }
    return refusal;
}

pub fn send(fd: i32, bytes: []const u8) i32 {
    return socket.result(linux.sendto(fd, bytes.ptr, bytes.len, 0, null, 0));
}

/// The next datagram, null if none is pending. A lost or truncated one is returned empty.
pub fn receive(fd: i32, buffer: []u8) ?[]const u8 {
    const length = socket.result(linux.recvfrom(fd, buffer.ptr, buffer.len, linux.MSG.TRUNC | linux.MSG.DONTWAIT, null, null));
    if (length < 0) return if (length == lost) "" else null;
    return if (length > buffer.len) "" else buffer[0..@intCast(length)];
}

/// NLMSG_ERROR begins with -errno, and 0 means success; so does NLMSG_DONE.
pub fn refusal_of(message: wire.Message) i32 {
    const tells = message.kind == message_error or message.kind == message_done;
    return if (tells and message.payload.len >= 4) @min(0, @as(i32, @bitCast(wire.word(message.payload, 0)))) else 0;
}

/// struct sockaddr_nl
const Address = extern struct { family: u16 = linux.AF.NETLINK, padding: u16 = 0, port: u32 = 0, groups: u32 = 0 };
const buffer_bytes = 1 << 24;
const lost = -@as(i32, @intFromEnum(linux.E.NOBUFS));
const message_error = 2;
const message_done = 3;

test "an error is an errno, an acknowledgement is none" {
    const refused: wire.Message = .{ .kind = message_error, .flags = 0, .port = 0, .payload = &std.mem.toBytes(@as(i32, -2)) };
    try std.testing.expectEqual(-2, refusal_of(refused));
    const done: wire.Message = .{ .kind = message_error, .flags = 0, .port = 0, .payload = &std.mem.toBytes(@as(i32, 0)) };
    try std.testing.expectEqual(0, refusal_of(done));
}
