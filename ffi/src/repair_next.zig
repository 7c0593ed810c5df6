//! The next rules. They come from the launcher (repair_launcher.zig), whose children read them from the files, and
//! never from the proxy, which can only request them. They pass the same checks as those loaded at the start.
const std = @import("std");
const channel = @import("repair_channel.zig");
const check = @import("repair_check.zig");
const linux = std.os.linux;
const socket = @import("socket.zig");

/// The loaded parts: rules, routes and addresses; then a batch for each state of the table.
pub const part = struct {
    pub const routing = 0;
    pub const open = 1;
    pub const count = 4;
};
pub const part_bytes_max = 4 << 20;
pub const digest_bytes = 32;
/// Limit of the program's stderr that is passed on when it fails.
pub const reason_bytes_max = 512;

/// Unused pages take no memory.
pub const Parts = struct {
    bytes: [part.count][part_bytes_max]u8 align(std.heap.page_size_min),
};

pub const Loaded = struct {
    parts: *Parts,
    lengths: [part.count]usize = @splat(0),

    pub fn get(self: *const Loaded, index: usize) []const u8 {
        return self.parts.bytes[index][0..self.lengths[index]];
    }

    pub fn is_ours(self: *const Loaded) bool {
        if (!check.is_routing_of_ours(self.get(part.routing))) return false;
        for (part.open..part.count) |index| if (!check.is_batch_of_ours(self.get(index))) return false;
        return true;
    }

    /// Releases the memory.
    pub fn clear(self: *Loaded) void {
        self.lengths = @splat(0);
        _ = linux.madvise(@ptrCast(self.parts), @sizeOf(Parts), linux.MADV.DONTNEED);
    }
};

/// The outcome: src/intercept/repair/frames.ts has the same.
pub const Outcome = enum(u32) { good = 0, no_launcher = 1, busy = 2, not_read = 3, not_ours = 4 };

pub const Next = struct {
    channel: channel.Channel,
    loaded: Loaded,
    digest: [digest_bytes]u8 = undefined,
    has_digest: bool = false,
    reason: [reason_bytes_max]u8 = undefined,
    reason_length: usize = 0,
    /// The proxy's number for its request.
    asked: ?u32 = null,
    ready: bool = false,

    /// Null if the answer comes later.
    pub fn ask(self: *Next, number: u32) ?Outcome {
        if (self.asked != null) return .busy;
        self.forget();
        if (self.channel.ended) return .no_launcher;
        const bytes = std.mem.asBytes(&number);
        const sent = socket.result(linux.sendto(self.channel.fd, bytes, bytes.len, linux.MSG.DONTWAIT | linux.MSG.NOSIGNAL, null, 0));
        if (sent != bytes.len) return .no_launcher;
        self.asked = number;
        return null;
    }

    /// Reads what has arrived; returns the outcome if it is now known.
    pub fn hear(self: *Next) ?Outcome {
        const frame = self.channel.read(self) orelse {
            if (!self.channel.ended) return null;
            self.forget();
            return .no_launcher;
        };
        switch (frame.kind) {
            .load => self.loaded.lengths[frame.argument] = frame.body.len,
            .digest => self.has_digest = true,
            .end => {
                self.reason_length = frame.body.len;
                return self.finish(frame.argument);
            },
            else => {},
        }
        return null;
    }

    fn finish(self: *Next, status: u32) Outcome {
        if (status == 0 and self.has_digest) {
            self.ready = self.loaded.is_ours();
            if (self.ready) return .good;
            self.forget();
            return .not_ours;
        }
        self.forget();
        return .not_read;
    }

    pub fn forget(self: *Next) void {
        self.ready = false;
        self.has_digest = false;
        self.loaded.clear();
    }

    /// The place for the body of a launcher's frame.
    pub fn place(self: *Next, kind: channel.Kind, argument: u32, length: u32) ?[]u8 {
        if (self.asked == null) return null;
        switch (kind) {
            .load => {
                if (argument >= part.count or length > part_bytes_max) return null;
                self.loaded.lengths[argument] = 0;
                return self.loaded.parts.bytes[argument][0..length];
            },
            .digest => return if (length == digest_bytes) &self.digest else null,
            .end => return if (length <= reason_bytes_max) self.reason[0..length] else null,
            else => return null,
        }
    }
};

/// Without a launcher, so nothing is sent.
fn without_launcher(parts: *Parts) Next {
    return .{ .loaded = .{ .parts = parts }, .channel = .{ .fd = -1, .buffers = undefined, .vital = false } };
}

test "the launcher may send nothing unasked, and only parts, a digest and the end" {
    const parts = try std.testing.allocator.create(Parts);
    defer std.testing.allocator.destroy(parts);
    var next = without_launcher(parts);
    for (std.enums.values(channel.Kind)) |kind| try std.testing.expectEqual(null, next.place(kind, 0, 0));
    next.asked = 7;
    for ([_]channel.Kind{ .seal, .use, .destroy, .prepare, .adopt }) |kind|
        try std.testing.expectEqual(null, next.place(kind, 0, 0));
    try std.testing.expectEqual(part_bytes_max, next.place(.load, part.count - 1, part_bytes_max).?.len);
    try std.testing.expectEqual(null, next.place(.load, 0, part_bytes_max + 1));
    try std.testing.expectEqual(null, next.place(.load, part.count, 0));
    try std.testing.expectEqual(digest_bytes, next.place(.digest, 0, digest_bytes).?.len);
    for ([_]u32{ 0, digest_bytes - 1, digest_bytes + 1 }) |length| try std.testing.expectEqual(null, next.place(.digest, 0, length));
    try std.testing.expectEqual(0, next.place(.end, 0, 0).?.len);
    try std.testing.expectEqual(reason_bytes_max, next.place(.end, 1, reason_bytes_max).?.len);
    try std.testing.expectEqual(null, next.place(.end, 1, reason_bytes_max + 1));
}

test "incomplete or foreign rules are not ready" {
    const parts = try std.testing.allocator.create(Parts);
    defer std.testing.allocator.destroy(parts);
    var next = without_launcher(parts);
    for ([_]struct { u32, bool, Outcome }{ .{ 0, true, .not_ours }, .{ 0, false, .not_read }, .{ 1, true, .not_read } }) |case| {
        next.has_digest = case[1];
        next.loaded.lengths[part.open] = 20;
        try std.testing.expectEqual(case[2], next.finish(case[0]));
        try std.testing.expect(!next.ready and !next.has_digest);
        for (next.loaded.lengths) |length| try std.testing.expectEqual(0, length);
    }
}
