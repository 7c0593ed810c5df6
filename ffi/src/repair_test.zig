//! Tests of the repair process: messages that it lets through, made as in src/netlink, and every way to corrupt them.
const std = @import("std");
const check = @import("repair_check.zig");
const notice = @import("repair_notice.zig");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

test {
    _ = @import("repair.zig");
    _ = @import("repair_batch.zig");
    _ = @import("repair_channel.zig");
    _ = @import("repair_confine.zig");
    _ = @import("repair_kernel.zig");
    _ = @import("repair_next.zig");
    _ = @import("repair_pace.zig");
    _ = @import("repair_sockets.zig");
    _ = check;
    _ = notice;
    _ = wire;
}

const nft = numbers.nft;
const adding = numbers.request | numbers.ack | numbers.create | numbers.exclusive;

fn edge(writer: *wire.Writer, kind: u16) void {
    const at = writer.begin(kind, numbers.request);
    writer.put(&.{ 0, 0, 0, nft.subsystem });
    writer.end(at);
}

const Spoiled = struct { kind: u8 = nft.new_set, family: u8 = numbers.family_inet, table: []const u8 = numbers.table, second: []const u8 = "", extra: u16 = 2, name: []const u8 = "name\x00", port: u32 = 0 };

fn change(writer: *wire.Writer, of: Spoiled) void {
    const at = writer.begin(nft.subsystem << 8 | @as(u16, of.kind), numbers.request);
    if (!writer.full) std.mem.writeInt(u32, writer.buffer[at + 12 ..][0..4], of.port, .little);
    writer.put(&.{ of.family, 0, 0, 0 });
    writer.attribute(1, of.table);
    writer.attribute(of.extra, of.name);
    if (of.second.len > 0) writer.attribute(1, of.second);
    writer.end(at);
}

fn batch_of(buffer: []u8, of: Spoiled) []const u8 {
    var writer: wire.Writer = .{ .buffer = buffer };
    edge(&writer, nft.batch_begin);
    change(&writer, .{});
    change(&writer, of);
    edge(&writer, nft.batch_end);
    return writer.written();
}

test "a batch that touches another table, or two, or one by its handle, is refused" {
    var buffer: [512]u8 = undefined;
    try std.testing.expect(check.is_batch_of_ours(batch_of(&buffer, .{})));
    try std.testing.expect(check.is_batch_of_ours(batch_of(&buffer, .{ .kind = nft.delete_table })));
    for ([_]Spoiled{
        .{ .table = "filter\x00" },
        .{ .table = "tls-tproxy" },
        .{ .table = "tls-tproxy2\x00" },
        .{ .family = 2 },
        .{ .family = 0 },
        .{ .second = "filter\x00" },
        .{ .second = numbers.table },
        .{ .kind = nft.delete_table, .extra = 4 },
        .{ .kind = nft.new_table, .extra = 0x4000 | 4 },
        .{ .kind = nft.delete_table, .extra = 0x8000 | 4 },
        .{ .kind = nft.get_elements },
        .{ .kind = 26 },
        .{ .kind = 18 },
    }) |spoiled| try std.testing.expect(!check.is_batch_of_ours(batch_of(&buffer, spoiled)));
}

test "a batch without its edges, with trailing messages, or cut anywhere is refused" {
    var buffer: [512]u8 = undefined;
    const whole = batch_of(&buffer, .{});
    for (0..whole.len) |length| try std.testing.expect(!check.is_batch_of_ours(whole[0..length]));
    try std.testing.expect(!check.is_batch_of_ours(whole[20..]));
    var twice: [1024]u8 = undefined;
    @memcpy(twice[0..whole.len], whole);
    @memcpy(twice[whole.len..][0..whole.len], whole);
    try std.testing.expect(!check.is_batch_of_ours(twice[0 .. 2 * whole.len]));
    try std.testing.expect(!check.is_batch_of_ours(""));
}

fn rule(buffer: []u8) []const u8 {
    var writer: wire.Writer = .{ .buffer = buffer };
    const at = writer.begin(numbers.rtm.new_rule, adding);
    writer.put(&.{ numbers.af_inet, 0, 0, 0, 0, 0, 0, numbers.action_lookup, 0, 0, 0, 0 });
    writer.attribute(numbers.fra.mark, &.{ 10, 0, 0, 0 });
    writer.attribute(numbers.fra.mask, &.{ 15, 0, 0, 0 });
    writer.attribute(numbers.fra.interface, "lo\x00");
    writer.attribute(numbers.fra.table, std.mem.asBytes(&@as(u32, numbers.routing_table)));
    writer.attribute(numbers.fra.priority, std.mem.asBytes(&@as(u32, numbers.rule_priority)));
    writer.end(at);
    return writer.written();
}

fn route(buffer: []u8) []const u8 {
    var writer: wire.Writer = .{ .buffer = buffer };
    const at = writer.begin(numbers.rtm.new_route, adding);
    writer.put(&.{ numbers.af_inet, 0, 0, 0, 0, 3, 254, numbers.type_local, 0, 0, 0, 0 });
    writer.attribute(numbers.rta.destination, &.{ 0, 0, 0, 0 });
    writer.attribute(numbers.rta.table, std.mem.asBytes(&@as(u32, numbers.routing_table)));
    writer.attribute(numbers.rta.interface, std.mem.asBytes(&@as(u32, numbers.loopback)));
    writer.end(at);
    return writer.written();
}

fn address(buffer: []u8) []const u8 {
    var writer: wire.Writer = .{ .buffer = buffer };
    const at = writer.begin(numbers.rtm.new_address, adding);
    writer.put(&.{ numbers.af_inet6, 128, 0, 0, numbers.loopback, 0, 0, 0 });
    writer.attribute(numbers.ifa.local, &numbers.alias6);
    writer.attribute(numbers.ifa.address, &numbers.alias6);
    writer.attribute(numbers.ifa.cache, &@as([16]u8, @splat(0xff)));
    writer.end(at);
    return writer.written();
}

/// Bytes of a message that may have any value: the sequence, the port, the mark and its mask, a route's protocol,
/// scope and interface, an address's scope and lifetimes. All others define what is changed.
fn is_free(kind: u16, at: usize) bool {
    if (at >= 8 and at < 16) return true;
    return switch (kind) {
        numbers.rtm.new_rule => (at >= 32 and at < 36) or (at >= 40 and at < 44),
        numbers.rtm.new_route => at == 21 or at == 22 or at >= 48,
        numbers.rtm.new_address => at == 19 or at >= 68,
        else => false,
    };
}

test "a rule, a route or an address with one flipped bit is refused" {
    var buffer: [128]u8 = undefined;
    inline for (.{ rule, route, address }) |make| {
        const good = make(&buffer);
        try std.testing.expect(check.is_routing_of_ours(good));
        var spoiled: [128]u8 = undefined;
        for (0..good.len) |at| for (0..8) |bit| {
            @memcpy(spoiled[0..good.len], good);
            spoiled[at] ^= @as(u8, 1) << @intCast(bit);
            if (is_free(wire.half(good, 4), at)) continue;
            // The other family's.
            if (at == 16 and spoiled[at] == numbers.af_inet6) continue;
            // NLA_F_NESTED, NLA_F_NET_BYTEORDER and padding have no effect.
            if (check.is_routing_of_ours(spoiled[0..good.len]) and !says_the_same(good, spoiled[0..good.len])) {
                std.debug.print("byte {d} bit {d} of kind {d}\n", .{ at, bit, wire.half(good, 4) });
                return error.Loose;
            }
        };
        for (1..good.len) |length| try std.testing.expect(!check.is_routing_of_ours(good[0..length]));
    }
}

/// Compares the header, and the attributes by type and value.
fn says_the_same(one: []const u8, other: []const u8) bool {
    const fixed: usize = if (wire.half(one, 4) == numbers.rtm.new_address) 24 else 28;
    if (!std.mem.eql(u8, one[0..8], other[0..8]) or !std.mem.eql(u8, one[16..fixed], other[16..fixed])) return false;
    var left: wire.Attributes = .{ .rest = one[fixed..] };
    var right: wire.Attributes = .{ .rest = other[fixed..] };
    while (left.next()) |attribute| {
        const same = right.next() orelse return false;
        if (attribute.kind != same.kind or !std.mem.eql(u8, attribute.value, same.value)) return false;
    }
    return right.next() == null;
}

test "random changes of a batch never let another table through" {
    var random = std.Random.DefaultPrng.init(0x6b656570);
    var buffer: [512]u8 = undefined;
    for (0..50_000) |_| {
        const good = batch_of(&buffer, .{ .kind = nft.allowed[random.random().uintLessThan(usize, nft.allowed.len)] });
        for (0..random.random().uintAtMost(usize, 4)) |_| buffer[random.random().uintLessThan(usize, good.len)] = random.random().int(u8);
        if (!check.is_batch_of_ours(good)) continue;
        var messages: wire.Messages = .{ .rest = good };
        while (messages.next()) |message| {
            if (message.kind == nft.batch_begin or message.kind == nft.batch_end) continue;
            try std.testing.expectEqual(numbers.family_inet, message.payload[0]);
            try std.testing.expectEqualStrings(numbers.table, wire.only(message.payload[4..], 1).?);
        }
    }
}

test "one TCP socket may be destroyed, and nothing else" {
    var body: [check.socket_request_size]u8 = @splat(0);
    body[0] = numbers.af_inet;
    body[1] = numbers.protocol_tcp;
    try std.testing.expect(check.is_one_socket(&body));
    try std.testing.expect(!check.is_one_socket(body[0..55]));
    body[1] = 17;
    try std.testing.expect(!check.is_one_socket(&body));
}

fn heard(of: Spoiled) notice.TableChange {
    var changes: notice.TableChanges = .{};
    hear(&changes, of);
    return changes.worst();
}

fn hear(changes: *notice.TableChanges, of: Spoiled) void {
    var buffer: [256]u8 = undefined;
    var writer: wire.Writer = .{ .buffer = &buffer };
    change(&writer, of);
    var names: notice.Names = .{};
    names.all[0] = "name\x00";
    names.count = 1;
    changes.hear(writer.written(), 77, &names);
}

test "changes to our table by others count; our own, those by packets, and those to other tables do not" {
    try std.testing.expectEqual(.content, heard(.{ .kind = nft.delete_table }));
    try std.testing.expectEqual(.content, heard(.{ .kind = 6 }));
    try std.testing.expectEqual(.shape, heard(.{ .kind = 3 }));
    try std.testing.expectEqual(.none, heard(.{ .kind = nft.delete_table, .port = 77 }));
    try std.testing.expectEqual(.none, heard(.{ .kind = nft.delete_table, .table = "other\x00" }));
    try std.testing.expectEqual(.none, heard(.{ .kind = nft.delete_table, .family = 2 }));
    try std.testing.expectEqual(.none, heard(.{ .kind = nft.new_elements }));
    try std.testing.expectEqual(.content, heard(.{ .kind = nft.new_elements, .name = "another\x00" }));
    try std.testing.expectEqual(.shape, heard(.{ .kind = nft.new_elements, .extra = 3 }));
    for ([_][]const u8{ "cut", "" }) |bytes| {
        var changes: notice.TableChanges = .{};
        changes.hear(bytes, 77, &.{});
        try std.testing.expectEqual(.shape, changes.worst());
    }
}

test "our own write covers earlier notices, unless others' additions were left or notices were lost" {
    const own: Spoiled = .{ .kind = nft.new_table, .port = 77 };
    var changes: notice.TableChanges = .{};
    hear(&changes, .{ .kind = nft.delete_table });
    hear(&changes, own);
    try std.testing.expectEqual(.none, changes.worst());
    hear(&changes, .{ .kind = nft.delete_table });
    try std.testing.expectEqual(.content, changes.worst());
    hear(&changes, .{ .kind = 3 });
    hear(&changes, own);
    try std.testing.expectEqual(.shape, changes.worst());
    changes.from_nothing = true;
    hear(&changes, .{ .kind = nft.new_elements, .port = 77 });
    hear(&changes, .{ .kind = 15, .port = 77 });
    try std.testing.expectEqual(.shape, changes.worst());
    hear(&changes, own);
    try std.testing.expectEqual(.none, changes.worst());
    changes.hear("", 77, &.{});
    hear(&changes, own);
    try std.testing.expectEqual(.shape, changes.worst());
}

test "changes to our routes count, and changes that may have removed ours lead to a check" {
    var buffer: [128]u8 = undefined;
    try std.testing.expectEqual(.ours, notice.route_change(rule(&buffer), 77));
    try std.testing.expectEqual(.ours, notice.route_change(route(&buffer), 77));
    try std.testing.expectEqual(.ours, notice.route_change(address(&buffer), 77));
    try std.testing.expectEqual(.near, notice.route_change("cut", 77));
    var writer: wire.Writer = .{ .buffer = &buffer };
    const at = writer.begin(numbers.rtm.new_link, 0);
    writer.put(&.{ 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 });
    writer.end(at);
    try std.testing.expectEqual(.none, notice.route_change(writer.written(), 77));
    buffer[wire.header_size + 4] = numbers.loopback;
    try std.testing.expectEqual(.near, notice.route_change(writer.written(), 77));
}
