//! Frames off an interface: packet(7).
const std = @import("std");
const linux = std.os.linux;
const socket = @import("socket.zig");

const eth_p_all = 0x0003;
const packet_statistics = 6;

/// struct tpacket_stats; reading clears it.
pub const Statistics = extern struct { packets: u32, drops: u32 };

/// After this `fd` receives every frame that crosses the interface, in both directions.
pub fn bind(fd: i32, interface: i32) i32 {
    var address = std.mem.zeroes(linux.sockaddr.ll);
    address.family = linux.AF.PACKET;
    address.protocol = std.mem.nativeToBig(u16, eth_p_all);
    address.ifindex = interface;
    return socket.result(linux.bind(fd, @ptrCast(&address), @sizeOf(linux.sockaddr.ll)));
}

/// The frame's true length, even if `buffer` is smaller; -EAGAIN if there is none.
pub fn receive(fd: i32, buffer: []u8) i32 {
    const flags = linux.MSG.DONTWAIT | linux.MSG.TRUNC;
    return socket.result(linux.recvfrom(fd, buffer.ptr, buffer.len, flags, null, null));
}

pub fn statistics(fd: i32, into: *Statistics) i32 {
    var length: linux.socklen_t = @sizeOf(Statistics);
    return socket.result(linux.getsockopt(fd, linux.SOL.PACKET, packet_statistics, @ptrCast(into), &length));
}
