//! Every export of the shim. src/native/abi.ts is the other side: change both, and the version.
const std = @import("std");
const linux = std.os.linux;
const sockaddr = @import("sockaddr.zig");
const socket = @import("socket.zig");

const abi_version = 1;
const ebadf: i32 = -@as(i32, @intFromEnum(linux.E.BADF));

export fn tproxy_abi_version() i32 {
    return abi_version;
}

/// Size of the flat address, compared with the reader's own at load.
export fn tproxy_address_size() i32 {
    return @sizeOf(sockaddr.Flat);
}

/// socket(2), close-on-exec and non-blocking.
export fn tproxy_socket(family: i32, kind: i32, protocol: i32) i32 {
    if (family < 0 or kind < 0 or protocol < 0) return socket.einval;
    return socket.open(family, kind, protocol);
}

/// Lets `fd` accept and originate traffic for addresses this host does not own: ip(7), IP_TRANSPARENT.
export fn tproxy_set_transparent(fd: i32, family: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.set_transparent(fd, family);
}

/// setsockopt(2) for an option whose value is an int.
export fn tproxy_set_integer(fd: i32, level: i32, name: i32, value: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.set_integer(fd, level, name, value);
}

export fn tproxy_bind(fd: i32, address: ?*const sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.bind(fd, address orelse return socket.einval);
}

export fn tproxy_listen(fd: i32, backlog: i32) i32 {
    if (fd < 0) return ebadf;
    if (backlog < 0) return socket.einval;
    return socket.result(linux.listen(fd, @intCast(backlog)));
}

/// connect(2): -EINPROGRESS means that it has begun.
export fn tproxy_connect(fd: i32, address: ?*const sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.connect(fd, address orelse return socket.einval);
}

/// getsockname(2): under TPROXY, where the packet was going before interception.
export fn tproxy_local_address(fd: i32, address: ?*sockaddr.Flat) i32 {
    if (fd < 0) return ebadf;
    return socket.local_address(fd, address orelse return socket.einval);
}

export fn tproxy_close(fd: i32) i32 {
    if (fd < 0) return ebadf;
    return socket.result(linux.close(fd));
}

test {
    std.testing.refAllDecls(@This());
    _ = sockaddr;
}

test "a bad descriptor is an error, not a crash" {
    try std.testing.expectEqual(ebadf, tproxy_close(-1));
    try std.testing.expectEqual(ebadf, tproxy_set_transparent(-1, linux.AF.INET));
}
