//! The batches that the repair process composes itself: one that writes the table from nothing, with the preexisting
//! connections still known. Pure.
const std = @import("std");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

const nft = numbers.nft;
pub const kept_max = 131_072;

/// Elements of a set: their keys, one after the other.
pub const Kept = struct {
    set: []const u8,
    /// The size of one key.
    size: usize,
    bytes: []u8,
    count: usize = 0,

    pub fn of(filled: numbers.Filled, bytes: []u8) Kept {
        return .{ .set = filled.set, .size = filled.size, .bytes = bytes };
    }

    pub fn keys(self: *const Kept) []const u8 {
        return self.bytes[0 .. self.count * self.size];
    }

    /// Stores the keys in an answer to `ask`; ignores a key of another size, and those that do not fit.
    pub fn read(self: *Kept, message: wire.Message) void {
        if (message.kind != nft.subsystem << 8 | nft.new_elements or message.payload.len < 4) return;
        var list: wire.Attributes = .{ .rest = wire.only(message.payload[4..], 3) orelse return };
        while (list.next()) |one| {
            self.add(wire.only(wire.only(one.value, 1) orelse continue, 1) orelse continue);
        }
    }

    pub fn add(self: *Kept, key: []const u8) void {
        if (key.len != self.size or self.bytes.len < (self.count + 1) * self.size) return;
        @memcpy(self.bytes[self.count * self.size ..][0..key.len], key);
        self.count += 1;
    }
};

/// Requests all elements of a set.
pub fn ask(writer: *wire.Writer, set: []const u8) void {
    const at = begin(writer, nft.get_elements, numbers.request | numbers.dump);
    writer.attribute(1, numbers.table);
    writer.attribute(2, set);
    writer.end(at);
}

/// `batch` completes the table; this one first deletes the table, whatever it contains, and adds the `kept` elements
/// to those sets that it has then.
pub fn from_nothing(writer: *wire.Writer, batch: []const u8, kept: []const Kept) void {
    writer.put(batch[0..edge_size]);
    for ([_]u8{ nft.new_table, nft.delete_table }) |kind| table_message(writer, kind);
    writer.put(batch[edge_size .. batch.len - edge_size]);
    for (kept) |one| if (has(batch, set_kind, one.set)) elements(writer, one);
    writer.put(batch[batch.len - edge_size ..]);
}

/// `batch` completes the table; this one also deletes the chains and the sets that the former batch had and this one
/// has not. What packets have filled stays.
pub fn without_gone(writer: *wire.Writer, batch: []const u8, before: []const u8) void {
    writer.put(batch[0 .. batch.len - edge_size]);
    // Rules jump to chains and look up sets, so they go first.
    each_gone(writer, .{ batch, before }, .{ .of = chain_kind, .delete = nft.delete_rule, .name = 2 });
    each_gone(writer, .{ batch, before }, .{ .of = chain_kind, .delete = nft.delete_chain, .name = chain_kind.name });
    each_gone(writer, .{ batch, before }, .{ .of = set_kind, .delete = nft.delete_set, .name = set_kind.name });
    writer.put(batch[batch.len - edge_size ..]);
}

/// One batch that adds elements to a set.
pub fn filling(writer: *wire.Writer, kept: Kept) void {
    edge(writer, nft.batch_begin);
    elements(writer, kept);
    edge(writer, nft.batch_end);
}

/// The message that adds a chain or a set, and the attribute that names it there.
const Kind = struct { add: u8, name: u16 };
const chain_kind: Kind = .{ .add = nft.new_chain, .name = 3 };
const set_kind: Kind = .{ .add = nft.new_set, .name = 2 };
const Deletion = struct { of: Kind, delete: u8, name: u16 };

fn each_gone(writer: *wire.Writer, batches: [2][]const u8, how: Deletion) void {
    var messages: wire.Messages = .{ .rest = batches[1] };
    while (messages.next()) |message| {
        const name = name_of(message, how.of) orelse continue;
        if (has(batches[0], how.of, name)) continue;
        const at = begin(writer, how.delete, numbers.request | numbers.ack);
        writer.attribute(1, numbers.table);
        writer.attribute(how.name, name);
        writer.end(at);
    }
}

fn has(batch: []const u8, kind: Kind, name: []const u8) bool {
    var messages: wire.Messages = .{ .rest = batch };
    while (messages.next()) |message| if (name_of(message, kind)) |one| if (std.mem.eql(u8, one, name)) return true;
    return false;
}

/// The name of the chain or the set that a message adds.
fn name_of(message: wire.Message, kind: Kind) ?[]const u8 {
    if (message.kind != nft.subsystem << 8 | @as(u16, kind.add) or message.payload.len < 4) return null;
    return wire.only(message.payload[4..], kind.name);
}

fn table_message(writer: *wire.Writer, kind: u8) void {
    const at = begin(writer, kind, numbers.request | numbers.ack | if (kind == nft.new_table) @as(u16, numbers.create) else 0);
    writer.attribute(1, numbers.table);
    writer.end(at);
}

/// An attribute's length has 16 bits, which limits the elements of a message.
fn elements(writer: *wire.Writer, kept: Kept) void {
    var rest = kept.keys();
    while (rest.len > 0) {
        const part = rest[0..@min(rest.len, elements_max * kept.size)];
        rest = rest[part.len..];
        const at = begin(writer, nft.new_elements, numbers.request | numbers.ack | numbers.create);
        writer.attribute(1, numbers.table);
        writer.attribute(2, kept.set);
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

fn edge(writer: *wire.Writer, kind: u16) void {
    const at = writer.begin(kind, numbers.request);
    writer.put(&.{ 0, 0, 0, nft.subsystem });
    writer.end(at);
}

const check = @import("repair_check.zig");

/// A batch with sets and chains of these names.
fn sample(writer: *wire.Writer, sets: []const []const u8) void {
    edge(writer, nft.batch_begin);
    for (sets) |set| {
        const at = begin(writer, nft.new_set, numbers.request | numbers.create);
        writer.attribute(1, numbers.table);
        writer.attribute(2, set);
        writer.end(at);
        const chain = begin(writer, nft.new_chain, numbers.request | numbers.create);
        writer.attribute(1, numbers.table);
        writer.attribute(3, set);
        writer.end(chain);
    }
    edge(writer, nft.batch_end);
}

test "what is kept is read back as written, in as many messages as necessary" {
    const count = 2 * elements_max + 1;
    var keys: [count * 16]u8 = undefined;
    for (&keys, 0..) |*byte, at| byte.* = @truncate(at *% 31 / 7);
    var none: [0]u8 = .{};
    const kept = [_]Kept{
        .{ .set = "a\x00", .size = 16, .bytes = &keys, .count = count },
        .{ .set = "b\x00", .size = 16, .bytes = &keys, .count = count },
        .{ .set = "a\x00", .size = 40, .bytes = &none },
    };
    var small: [256]u8 = undefined;
    var batch: wire.Writer = .{ .buffer = &small };
    sample(&batch, &.{"a\x00"});
    var large: [count * 40]u8 = undefined;
    var writer: wire.Writer = .{ .buffer = &large };
    from_nothing(&writer, batch.written(), &kept);
    try std.testing.expect(!writer.full and check.is_batch_of_ours(writer.written()));
    var again: [count * 16]u8 = undefined;
    var found: Kept = .{ .set = "", .size = 16, .bytes = &again };
    var messages: wire.Messages = .{ .rest = writer.written() };
    while (messages.next()) |message| found.read(message);
    try std.testing.expectEqualSlices(u8, &keys, found.keys());
}

test "deleted are the chains and the sets that are gone, after the rules in them, and no others" {
    var buffers: [3][2048]u8 = undefined;
    var before: wire.Writer = .{ .buffer = &buffers[0] };
    sample(&before, &.{ "a\x00", "b\x00" });
    var after: wire.Writer = .{ .buffer = &buffers[1] };
    sample(&after, &.{ "b\x00", "c\x00" });
    var writer: wire.Writer = .{ .buffer = &buffers[2] };
    without_gone(&writer, after.written(), before.written());
    try std.testing.expect(check.is_batch_of_ours(writer.written()));
    const expected = [_]struct { u8, u16 }{ .{ nft.delete_rule, 2 }, .{ nft.delete_chain, 3 }, .{ nft.delete_set, 2 } };
    var messages: wire.Messages = .{ .rest = writer.written() };
    var deleted: usize = 0;
    while (messages.next()) |message| switch (message.kind & 0xff) {
        nft.delete_rule, nft.delete_chain, nft.delete_set => {
            try std.testing.expectEqual(expected[deleted][0], @as(u8, @truncate(message.kind)));
            try std.testing.expectEqualStrings("a\x00", wire.only(message.payload[4..], expected[deleted][1]).?);
            deleted += 1;
        },
        else => {},
    };
    try std.testing.expectEqual(expected.len, deleted);
}
