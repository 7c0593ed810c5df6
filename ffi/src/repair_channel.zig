//! Frames between the proxy and the repair process: a kind, an argument and a length of four bytes each, then the
//! body. An invalid frame ends the repair process; the rules stay.
const std = @import("std");
const linux = std.os.linux;
const batch = @import("repair_batch.zig");
const numbers = @import("repair_numbers.zig");
const socket = @import("socket.zig");

/// Requests of the proxy, and messages of the launcher.
pub const Kind = enum(u32) {
    /// Loads a part, with its number.
    load = 1,
    seal = 2,
    /// Chooses a state of the table, by its part.
    use = 3,
    /// Destroys a socket: struct inet_diag_req_v2.
    destroy = 4,
    /// Prepares other rules, which a separate process reads from the files; the answer carries the same number.
    prepare = 5,
    /// Makes the prepared rules the current ones.
    adopt = 6,
    /// From the launcher: a digest of what the rules that it has sent were made from.
    digest = 7,
    /// From the launcher: 0 if the rules are complete; else 1, with what the program wrote to stderr.
    end = 8,
};

/// Reports of the repair process.
pub const Report = enum(u32) { ready = 1, restored = 2, failed = 3, done = 4, destroyed = 5, prepared = 6 };

pub const Frame = struct { kind: Kind, argument: u32, body: []const u8 };
pub const Restored = struct { repairs: u32, table: bool, microseconds: u32 };

const header_size = 12;
const kept_bytes_max = sum: {
    var sum: usize = 0;
    for (numbers.carried[0..numbers.told]) |set| sum += batch.kept_max * set.size;
    break :sum sum;
};

pub const Buffers = struct { out: [kept_bytes_max + (1 << 16)]u8 };

pub const Channel = struct {
    fd: i32,
    buffers: *Buffers,
    header: [header_size]u8 = undefined,
    header_read: usize = 0,
    body: []u8 = &.{},
    body_read: usize = 0,
    out_length: usize = 0,
    out_sent: usize = 0,
    /// This process ends when the channel does.
    vital: bool = true,
    ended: bool = false,

    pub fn events(self: *const Channel) i16 {
        return if (self.out_sent < self.out_length) linux.POLL.IN | linux.POLL.OUT else linux.POLL.IN;
    }

    /// Reads once; returns a frame if it is complete. `owner.place` gives the place for a body.
    pub fn read(self: *Channel, owner: anytype) ?Frame {
        if (self.header_read < header_size) {
            self.header_read += self.read_into(self.header[self.header_read..]) orelse return null;
            if (self.header_read < header_size) return null;
            self.body = self.placed(owner) orelse return self.stop();
            self.body_read = 0;
        } else self.body_read += self.read_into(self.body[self.body_read..]) orelse return null;
        if (self.body_read < self.body.len) return null;
        self.header_read = 0;
        return .{ .kind = self.kind() orelse return self.stop(), .argument = self.word(1), .body = self.body };
    }

    fn placed(self: *const Channel, owner: anytype) ?[]u8 {
        return owner.place(self.kind() orelse return null, self.word(1), self.word(2));
    }

    fn stop(self: *Channel) ?Frame {
        if (self.vital) linux.exit_group(2);
        self.ended = true;
        return null;
    }

    fn kind(self: *const Channel) ?Kind {
        return std.enums.fromInt(Kind, self.word(0));
    }

    fn word(self: *const Channel, at: usize) u32 {
        return std.mem.readInt(u32, self.header[4 * at ..][0..4], .little);
    }

    /// Null if no data is pending, or the channel has ended.
    fn read_into(self: *Channel, bytes: []u8) ?usize {
        const length = socket.result(linux.recvfrom(self.fd, bytes.ptr, bytes.len, linux.MSG.DONTWAIT, null, null));
        if (length == again) return null;
        if (length > 0) return @intCast(length);
        if (self.vital) linux.exit_group(0);
        self.ended = true;
        return null;
    }

    /// Omits a report while the one before is unsent: the proxy is not reading, and important reports are repeated.
    pub fn report(self: *Channel, what: Report, argument: u32, body: []const u8) void {
        if (!self.has_room(header_size + body.len)) return;
        self.put_words(&.{ @intFromEnum(what), argument, @intCast(body.len) });
        self.put(body);
        self.flush();
    }

    pub fn restored(self: *Channel, how: Restored, kept: []const batch.Kept) void {
        self.with_kept(.restored, how.repairs, &.{ @intFromBool(how.table), how.microseconds }, kept);
    }

    pub fn done(self: *Channel, refusal: i32, kept: []const batch.Kept) void {
        self.with_kept(.done, @intCast(-refusal), &.{}, kept);
    }

    fn with_kept(self: *Channel, what: Report, argument: u32, more: []const u32, kept: []const batch.Kept) void {
        var length = 4 * (more.len + kept.len);
        for (kept) |one| length += one.keys().len;
        if (!self.has_room(header_size + length)) return;
        self.put_words(&.{ @intFromEnum(what), argument, @intCast(length) });
        self.put_words(more);
        for (kept) |one| self.put_words(&.{@intCast(one.count)});
        for (kept) |one| self.put(one.keys());
        self.flush();
    }

    fn has_room(self: *const Channel, length: usize) bool {
        return length <= self.buffers.out.len - self.out_length;
    }

    fn put_words(self: *Channel, words: []const u32) void {
        for (words) |one| self.put(std.mem.asBytes(&one));
    }

    fn put(self: *Channel, bytes: []const u8) void {
        @memcpy(self.buffers.out[self.out_length..][0..bytes.len], bytes);
        self.out_length += bytes.len;
    }

    /// Sends as much as the proxy accepts without waiting.
    pub fn flush(self: *Channel) void {
        const rest = self.buffers.out[self.out_sent..self.out_length];
        if (rest.len == 0) return;
        const sent = socket.result(linux.sendto(self.fd, rest.ptr, rest.len, linux.MSG.DONTWAIT | linux.MSG.NOSIGNAL, null, 0));
        if (sent > 0) self.out_sent += @intCast(sent);
        if (self.out_sent < self.out_length) return;
        self.out_sent = 0;
        self.out_length = 0;
    }
};

const again = -@as(i32, @intFromEnum(linux.E.AGAIN));
