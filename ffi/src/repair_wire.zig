//! Netlink messages and attributes for the repair process: netlink(7). Pure.
const std = @import("std");

pub const header_size = 16;

pub const Message = struct {
    kind: u16,
    flags: u16,
    /// The requester whose change a notice announces: the port of its socket, 0 for the kernel itself.
    port: u32,
    payload: []const u8,
    /// The message with its header.
    whole: []const u8 = "",
};

/// Reads the messages of one datagram. `broken` is set if one does not fit; then there is no next one.
pub const Messages = struct {
    rest: []const u8,
    broken: bool = false,

    pub fn next(self: *Messages) ?Message {
        if (self.rest.len == 0) return null;
        const length = if (self.rest.len < header_size) 0 else word(self.rest, 0);
        if (length < header_size or length > self.rest.len) {
            self.broken = true;
            self.rest = "";
            return null;
        }
        const whole = self.rest[0..length];
        self.rest = self.rest[@min(aligned(length), self.rest.len)..];
        return .{ .kind = half(whole, 4), .flags = half(whole, 6), .port = word(whole, 12), .payload = whole[header_size..], .whole = whole };
    }
};

pub const Attribute = struct { kind: u16, value: []const u8 };

/// Reads attributes one after the other; flags are removed from the type.
pub const Attributes = struct {
    rest: []const u8,
    broken: bool = false,

    pub fn next(self: *Attributes) ?Attribute {
        if (self.rest.len == 0) return null;
        const length = if (self.rest.len < 4) 0 else half(self.rest, 0);
        if (length < 4 or length > self.rest.len) {
            self.broken = true;
            self.rest = "";
            return null;
        }
        const found: Attribute = .{ .kind = half(self.rest, 2) & type_mask, .value = self.rest[4..length] };
        self.rest = self.rest[@min(aligned(length), self.rest.len)..];
        return found;
    }
};

/// The only attribute of this type; null if there is none, several, or one that does not fit.
pub fn only(bytes: []const u8, kind: u16) ?[]const u8 {
    var attributes: Attributes = .{ .rest = bytes };
    var found: ?[]const u8 = null;
    while (attributes.next()) |attribute| {
        if (attribute.kind != kind) continue;
        if (found != null) return null;
        found = attribute.value;
    }
    return if (attributes.broken) null else found;
}

/// The number in the only attribute of this type, in host order.
pub fn only_word(bytes: []const u8, kind: u16) ?u32 {
    const value = only(bytes, kind) orelse return null;
    return if (value.len == 4) word(value, 0) else null;
}

/// Writes messages into a buffer; sets `full` if one does not fit.
pub const Writer = struct {
    buffer: []u8,
    length: usize = 0,
    full: bool = false,

    pub fn written(self: *const Writer) []const u8 {
        return self.buffer[0..self.length];
    }

    pub fn put(self: *Writer, bytes: []const u8) void {
        if (self.full or bytes.len > self.buffer.len - self.length) {
            self.full = true;
            return;
        }
        @memcpy(self.buffer[self.length..][0..bytes.len], bytes);
        self.length += bytes.len;
    }

    pub fn number(self: *Writer, comptime T: type, value: T) void {
        var bytes: [@sizeOf(T)]u8 = undefined;
        std.mem.writeInt(T, &bytes, value, .little);
        self.put(&bytes);
    }

    /// Begins a message; `end` writes its length. nlmsghdr.
    pub fn begin(self: *Writer, kind: u16, flags: u16) usize {
        const at = self.length;
        self.number(u32, 0);
        self.number(u16, kind);
        self.number(u16, flags);
        self.number(u32, 1);
        self.number(u32, 0);
        return at;
    }

    pub fn end(self: *Writer, at: usize) void {
        if (!self.full) std.mem.writeInt(u32, self.buffer[at..][0..4], @intCast(self.length - at), .little);
    }

    pub fn attribute(self: *Writer, kind: u16, value: []const u8) void {
        self.number(u16, @intCast(4 + value.len));
        self.number(u16, kind);
        self.put(value);
        const padding = aligned(value.len) - value.len;
        self.put(zeros[0..padding]);
    }

    /// Begins a nested attribute; `close` writes its length.
    pub fn open(self: *Writer, kind: u16) usize {
        const at = self.length;
        self.number(u16, 0);
        self.number(u16, kind | nested);
        return at;
    }

    pub fn close(self: *Writer, at: usize) void {
        if (!self.full) std.mem.writeInt(u16, self.buffer[at..][0..2], @intCast(self.length - at), .little);
    }
};

pub fn half(bytes: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, bytes[at..][0..2], .little);
}

pub fn word(bytes: []const u8, at: usize) u32 {
    return std.mem.readInt(u32, bytes[at..][0..4], .little);
}

pub fn aligned(length: usize) usize {
    return (length + 3) & ~@as(usize, 3);
}

const zeros = [4]u8{ 0, 0, 0, 0 };
const nested = 0x8000;
/// The type without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const type_mask = 0x3fff;

test "what was written is read back" {
    var buffer: [128]u8 = undefined;
    var writer: Writer = .{ .buffer = &buffer };
    const at = writer.begin(7, 5);
    writer.attribute(1, "abc");
    const list = writer.open(3);
    writer.attribute(2, "x");
    writer.close(list);
    writer.end(at);
    var messages: Messages = .{ .rest = writer.written() };
    const message = messages.next().?;
    try std.testing.expectEqual(7, message.kind);
    try std.testing.expectEqualStrings("abc", only(message.payload, 1).?);
    try std.testing.expectEqualStrings("x", only(only(message.payload, 3).?, 2).?);
    try std.testing.expectEqual(null, messages.next());
    try std.testing.expect(!messages.broken);
}

test "an attribute that occurs twice counts as missing" {
    var buffer: [64]u8 = undefined;
    var writer: Writer = .{ .buffer = &buffer };
    writer.attribute(1, "a");
    writer.attribute(1, "b");
    try std.testing.expectEqual(null, only(writer.written(), 1));
}

test "a full buffer is detected, and nothing is written past its end" {
    var buffer: [20]u8 = undefined;
    var writer: Writer = .{ .buffer = &buffer };
    const at = writer.begin(1, 1);
    writer.attribute(1, "too long");
    writer.end(at);
    try std.testing.expect(writer.full);
}

test "any bytes are read without a fault" {
    var random = std.Random.DefaultPrng.init(0x7470726f7879);
    var bytes: [96]u8 = undefined;
    for (0..20_000) |_| {
        random.fill(&bytes);
        // Lengths that nearly fit find more faults than random ones.
        std.mem.writeInt(u32, bytes[0..4], random.random().uintAtMost(u32, 120), .little);
        var messages: Messages = .{ .rest = bytes[0..random.random().uintAtMost(usize, bytes.len)] };
        while (messages.next()) |message| {
            var attributes: Attributes = .{ .rest = message.payload };
            while (attributes.next()) |attribute| std.mem.doNotOptimizeAway(attribute.value.len);
        }
    }
}
