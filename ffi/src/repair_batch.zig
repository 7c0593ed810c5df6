//! The batches that the repair process composes itself: one that writes the table from nothing, with the preexisting
//! connections still known. Pure.
const std = @import("std");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

const nft = numbers.nft;
pub const kept_max = 131_072;

/// Preexisting connections of one family: their keys, one after the other.
pub const Kept = struct {
    /// The size of one key.
    size: usize,
    bytes: []u8,
    count: usize = 0,

    pub fn keys(self: *const Kept) []const u8 {
        return self.bytes[0 .. self.count * self.size];
    }

    /// Stores the keys in an answer to `ask`; ignores a key of another size, and those that do not fit.
    pub fn read(self: *Kept, message: wire.Message) void {
        if (message.kind != nft.subsystem << 8 | nft.new_elements or message.payload.len < 4) return;
        var list: wire.Attributes = .{ .rest = wire.only(message.payload[4..], 3) orelse return };
        while (list.next()) |one| {
            const key = wire.only(wire.only(one.value, 1) orelse continue, 1) orelse continue;
            if (key.len != self.size or self.bytes.len < (self.count + 1) * self.size) continue;
            @memcpy(self.bytes[self.count * self.size ..][0..key.len], key);
            self.count += 1;
        }
    }
};

/// Requests all elements of a set.
pub fn ask(writer: *wire.Writer, set: []const u8) void {
    const at = begin(writer, nft.get_elements, numbers.request | numbers.dump);
    writer.attribute(1, numbers.table);
    writer.attribute(2, set);
    writer.end(at);
}

/// `batch` completes the table; this one first deletes the table, whatever it contains, and adds the `kept` elements.
pub fn from_nothing(writer: *wire.Writer, batch: []const u8, kept: [2]Kept) void {
    writer.put(batch[0..edge_size]);
    for ([_]u8{ nft.new_table, nft.delete_table }) |kind| table_message(writer, kind);
    writer.put(batch[edge_size .. batch.len - edge_size]);
    for (kept, numbers.open_before) |family, set| elements(writer, set, family);
    writer.put(batch[batch.len - edge_size ..]);
}

/// `batch` completes the table; this one also deletes the sets that the former batch had and this one has not.
pub fn without_gone(writer: *wire.Writer, batch: []const u8, before: []const u8) void {
    writer.put(batch[0 .. batch.len - edge_size]);
    var messages: wire.Messages = .{ .rest = before };
    while (messages.next()) |message| {
        const name = set_of(message) orelse continue;
        if (has_set(batch, name)) continue;
        const at = begin(writer, nft.delete_set, numbers.request | numbers.ack);
        writer.attribute(1, numbers.table);
        writer.attribute(2, name);
        writer.end(at);
    }
    writer.put(batch[batch.len - edge_size ..]);
}

fn has_set(batch: []const u8, name: []const u8) bool {
    var messages: wire.Messages = .{ .rest = batch };
    while (messages.next()) |message| if (set_of(message)) |one| if (std.mem.eql(u8, one, name)) return true;
    return false;
}

/// The name of the set that a message adds.
fn set_of(message: wire.Message) ?[]const u8 {
    if (message.kind != nft.subsystem << 8 | nft.new_set or message.payload.len < 4) return null;
    return wire.only(message.payload[4..], 2);
}

fn table_message(writer: *wire.Writer, kind: u8) void {
    const at = begin(writer, kind, numbers.request | numbers.ack | if (kind == nft.new_table) @as(u16, numbers.create) else 0);
    writer.attribute(1, numbers.table);
    writer.end(at);
}

/// An attribute's length has 16 bits, which limits the elements of a message.
fn elements(writer: *wire.Writer, set: []const u8, kept: Kept) void {
    var rest = kept.keys();
    while (rest.len > 0) {
        const part = rest[0..@min(rest.len, elements_max * kept.size)];
        rest = rest[part.len..];
        const at = begin(writer, nft.new_elements, numbers.request | numbers.ack | numbers.create);
        writer.attribute(1, numbers.table);
        writer.attribute(2, set);
        const list = writer.open(3);
        var from: usize = 0;
        while (from < part.len) : (from += kept.size) element(writer, part[from..][0..kept.size]);
        writer.close(list);
        writer.end(at);
    }
}

fn element(writer: *wire.Writer, key: []const u8) void {
    const outer = writer.open(1);
    const inner = writer.open(1);
    writer.attribute(1, key);
    writer.close(inner);
    writer.close(outer);
}

/// Begins an nf_tables message, up to and including struct nfgenmsg.
fn begin(writer: *wire.Writer, kind: u8, flags: u16) usize {
    const at = writer.begin(nft.subsystem << 8 | @as(u16, kind), flags);
    writer.put(&.{ numbers.family_inet, 0, 0, 0 });
    return at;
}

const elements_max = 500;
/// The first and the last message of a batch have only struct nfgenmsg.
const edge_size = wire.header_size + 4;

const check = @import("repair_check.zig");

/// A batch with these sets.
fn sample(writer: *wire.Writer, sets: []const []const u8) void {
    edge(writer, nft.batch_begin);
    for (sets) |set| {
        const at = begin(writer, nft.new_set, numbers.request | numbers.create);
        writer.attribute(1, numbers.table);
        writer.attribute(2, set);
        writer.end(at);
    }
    edge(writer, nft.batch_end);
}

fn edge(writer: *wire.Writer, kind: u16) void {
    const at = writer.begin(kind, numbers.request);
    writer.put(&.{ 0, 0, 0, nft.subsystem });
    writer.end(at);
}

test "what is kept is read back as written, in as many messages as necessary" {
    const count = 2 * elements_max + 1;
    var keys: [count * 16]u8 = undefined;
    for (&keys, 0..) |*byte, at| byte.* = @truncate(at *% 31 / 7);
    var none: [0]u8 = .{};
    const kept = [2]Kept{ .{ .size = 16, .bytes = &keys, .count = count }, .{ .size = 40, .bytes = &none } };
    var small: [256]u8 = undefined;
    var batch: wire.Writer = .{ .buffer = &small };
    sample(&batch, &.{"a\x00"});
    var large: [count * 40]u8 = undefined;
    var writer: wire.Writer = .{ .buffer = &large };
    from_nothing(&writer, batch.written(), kept);
    try std.testing.expect(!writer.full and check.is_batch_of_ours(writer.written()));
    var again: [count * 16]u8 = undefined;
    var found: Kept = .{ .size = 16, .bytes = &again };
    var messages: wire.Messages = .{ .rest = writer.written() };
    while (messages.next()) |message| found.read(message);
    try std.testing.expectEqualSlices(u8, &keys, found.keys());
}

test "deleted are the sets that are gone, and no others" {
    var buffers: [3][1024]u8 = undefined;
    var before: wire.Writer = .{ .buffer = &buffers[0] };
    sample(&before, &.{ "a\x00", "b\x00" });
    var after: wire.Writer = .{ .buffer = &buffers[1] };
    sample(&after, &.{ "b\x00", "c\x00" });
    var writer: wire.Writer = .{ .buffer = &buffers[2] };
    without_gone(&writer, after.written(), before.written());
    try std.testing.expect(check.is_batch_of_ours(writer.written()));
    var messages: wire.Messages = .{ .rest = writer.written() };
    var deleted: usize = 0;
    while (messages.next()) |message| if (message.kind & 0xff == nft.delete_set) {
        deleted += 1;
        try std.testing.expectEqualStrings("a\x00", wire.only(message.payload[4..], 2).?);
    };
    try std.testing.expectEqual(1, deleted);
}
