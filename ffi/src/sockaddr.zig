//! The flat address that crosses the boundary; src/net/address.ts has the same layout.
const std = @import("std");
const linux = std.os.linux;

/// Either family in 24 bytes. IPv4 occupies the first four bytes of `bytes`.
pub const Flat = extern struct {
    family: u16,
    /// Host byte order.
    port: u16,
    /// IPv6 zone (interface index), 0 for none.
    scope: u32,
    bytes: [16]u8,
};

/// The kernel's formats: struct sockaddr_in and sockaddr_in6.
pub const Native = extern union {
    any: linux.sockaddr,
    in: linux.sockaddr.in,
    in6: linux.sockaddr.in6,
};

/// Length of the kernel's format, or null for an unknown family.
pub fn to_native(flat: *const Flat, native: *Native) ?linux.socklen_t {
    const port = std.mem.nativeToBig(u16, flat.port);
    switch (flat.family) {
        linux.AF.INET => {
            native.* = .{ .in = .{ .port = port, .addr = @bitCast(flat.bytes[0..4].*) } };
            return @sizeOf(linux.sockaddr.in);
        },
        linux.AF.INET6 => {
            native.* = .{ .in6 = .{ .port = port, .flowinfo = 0, .addr = flat.bytes, .scope_id = flat.scope } };
            return @sizeOf(linux.sockaddr.in6);
        },
        else => return null,
    }
}

/// False for a family that is neither IPv4 nor IPv6.
pub fn from_native(native: *const Native, flat: *Flat) bool {
    flat.* = .{ .family = native.any.family, .port = 0, .scope = 0, .bytes = @splat(0) };
    switch (native.any.family) {
        linux.AF.INET => {
            flat.port = std.mem.bigToNative(u16, native.in.port);
            flat.bytes[0..4].* = @bitCast(native.in.addr);
        },
        linux.AF.INET6 => {
            flat.port = std.mem.bigToNative(u16, native.in6.port);
            flat.scope = native.in6.scope_id;
            flat.bytes = native.in6.addr;
        },
        else => return false,
    }
    return true;
}

test "both families survive a round trip" {
    for ([_]u16{ linux.AF.INET, linux.AF.INET6 }) |family| {
        var flat: Flat = .{ .family = family, .port = 8080, .scope = 0, .bytes = @splat(0) };
        flat.bytes[0..4].* = .{ 10, 0, 0, 1 };
        var native: Native = undefined;
        var back: Flat = undefined;
        try std.testing.expect(to_native(&flat, &native) != null);
        try std.testing.expect(from_native(&native, &back));
        try std.testing.expectEqualDeep(flat, back);
    }
}

test "an unknown family is refused" {
    var flat: Flat = .{ .family = 1, .port = 0, .scope = 0, .bytes = @splat(0) };
    var native: Native = undefined;
    try std.testing.expectEqual(null, to_native(&flat, &native));
}
