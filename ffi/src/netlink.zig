//! Datagrams to and from the kernel: netlink(7). The socket comes from tproxy_socket.
const linux = @import("std").os.linux;
const socket = @import("socket.zig");

/// send(2): an unconnected netlink socket sends to the kernel.
pub fn send(fd: i32, bytes: [*]const u8, size: u32) i32 {
    return socket.result(linux.sendto(fd, bytes, size, 0, null, 0));
}

/// recv(2) with MSG_TRUNC: returns the true length, so that a truncated datagram is detected.
pub fn receive(fd: i32, buffer: [*]u8, size: u32) i32 {
    return socket.result(linux.recvfrom(fd, buffer, size, linux.MSG.TRUNC, null, null));
}
