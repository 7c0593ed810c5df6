//! Socket calls, one syscall each. A result is a value >= 0 or -errno.
const std = @import("std");
const linux = std.os.linux;
const sockaddr = @import("sockaddr.zig");

const ip_transparent = 19;
const ipv6_transparent = 75;

pub const einval: i32 = -@as(i32, @intFromEnum(linux.E.INVAL));

/// Converts the kernel's result: -errno fits, and no value here exceeds i32.
pub fn result(raw: usize) i32 {
    return @intCast(@as(isize, @bitCast(raw)));
}

pub fn open(family: i32, kind: i32, protocol: i32) i32 {
    const flags: u32 = @as(u32, @intCast(kind)) | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
    return result(linux.socket(@intCast(family), flags, @intCast(protocol)));
}

pub fn poll(fd: i32, events: i16, milliseconds: i32) i32 {
    var watched = [1]linux.pollfd{.{ .fd = fd, .events = events, .revents = 0 }};
    const count = result(linux.poll(&watched, 1, milliseconds));
    return if (count <= 0) count else watched[0].revents;
}

pub fn set_integer(fd: i32, level: i32, name: i32, value: i32) i32 {
    return result(linux.setsockopt(fd, level, @intCast(name), std.mem.asBytes(&value), @sizeOf(i32)));
}

/// struct linger: on or off, with no time.
pub fn set_reset_on_close(fd: i32, on: i32) i32 {
    const linger = [2]i32{ on, 0 };
    return result(linux.setsockopt(fd, linux.SOL.SOCKET, linux.SO.LINGER, std.mem.asBytes(&linger), @sizeOf(@TypeOf(linger))));
}

pub fn set_transparent(fd: i32, family: i32) i32 {
    return switch (family) {
        linux.AF.INET => set_integer(fd, linux.SOL.IP, ip_transparent, 1),
        linux.AF.INET6 => set_integer(fd, linux.SOL.IPV6, ipv6_transparent, 1),
        else => einval,
    };
}

pub fn duplicate(fd: i32) i32 {
    return result(linux.fcntl(fd, linux.F.DUPFD_CLOEXEC, 0));
}

pub fn bind(fd: i32, address: *const sockaddr.Flat) i32 {
    var native: sockaddr.Native = undefined;
    const length = sockaddr.to_native(address, &native) orelse return einval;
    return result(linux.bind(fd, &native.any, length));
}

pub fn connect(fd: i32, address: *const sockaddr.Flat) i32 {
    var native: sockaddr.Native = undefined;
    const length = sockaddr.to_native(address, &native) orelse return einval;
    return result(linux.connect(fd, &native.any, length));
}

pub fn local_address(fd: i32, address: *sockaddr.Flat) i32 {
    var native: sockaddr.Native = undefined;
    var length: linux.socklen_t = @sizeOf(sockaddr.Native);
    const status = result(linux.getsockname(fd, &native.any, &length));
    if (status < 0) return status;
    return if (sockaddr.from_native(&native, address)) 0 else einval;
}

pub fn peer_address(fd: i32, address: *sockaddr.Flat) i32 {
    var native: sockaddr.Native = undefined;
    var length: linux.socklen_t = @sizeOf(sockaddr.Native);
    const status = result(linux.getpeername(fd, &native.any, &length));
    if (status < 0) return status;
    return if (sockaddr.from_native(&native, address)) 0 else einval;
}

/// tcpi_state is the first byte of struct tcp_info.
pub fn tcp_state(fd: i32) i32 {
    var state: u8 = 0;
    var length: linux.socklen_t = 1;
    const status = result(linux.getsockopt(fd, linux.IPPROTO.TCP, linux.TCP.INFO, @ptrCast(&state), &length));
    return if (status < 0) status else state;
}

/// The low 31 bits of tcpi_bytes_received, which is at byte 128 of struct tcp_info (linux/tcp.h, since Linux 4.1).
pub fn tcp_received(fd: i32) i32 {
    var info: [17]u64 = @splat(0);
    var length: linux.socklen_t = @sizeOf(@TypeOf(info));
    const status = result(linux.getsockopt(fd, linux.IPPROTO.TCP, linux.TCP.INFO, @ptrCast(&info), &length));
    return if (status < 0) status else @intCast(info[16] & std.math.maxInt(i32));
}

/// Fills `into` with as much of struct tcp_info as this kernel has (linux/tcp.h); returns the number of bytes.
pub fn tcp_info(fd: i32, into: []u8) i32 {
    var length: linux.socklen_t = @intCast(into.len);
    const status = result(linux.getsockopt(fd, linux.IPPROTO.TCP, linux.TCP.INFO, into.ptr, &length));
    return if (status < 0) status else @intCast(length);
}

pub fn peek(fd: i32, buffer: [*]u8, size: u32) i32 {
    return result(linux.recvfrom(fd, buffer, size, linux.MSG.PEEK | linux.MSG.DONTWAIT, null, null));
}
