//! What the sockets of this network namespace tell about sets that packets fill: ports with a listener, and clients by
//! whose addresses applications see the proxy's connections. Elements of these sets only make packets be diverted or
//! dropped. Pure: bytes in, keys out.
const std = @import("std");
const batch = @import("repair_batch.zig");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

pub const families = [2]u8{ numbers.af_inet, numbers.af_inet6 };

pub const Sockets = struct {
    /// The mask of our marks, which is the mark of the proxy's sockets to applications: src/intercept/rules/marks.ts.
    mask: u32,
    served: std.StaticBitSet(65_536) = .initEmpty(),
    clients: [2]batch.Kept,

    /// Reads one answer to `ask`.
    pub fn read(self: *Sockets, message: wire.Message) void {
        if (message.kind != numbers.diag.by_family or message.payload.len < numbers.diag.message_size) return;
        const payload = message.payload;
        if (payload[1] == listening) {
            if (!is_loopback(payload)) self.served.set(port_at(payload, source_port));
            return;
        }
        const mark = wire.only_word(payload[numbers.diag.message_size..], numbers.diag.mark) orelse return;
        if (self.mask == 0 or mark & self.mask != self.mask) return;
        self.served.set(port_at(payload, destination_port));
        self.see(payload);
    }

    fn see(self: *Sockets, payload: []const u8) void {
        const address = payload[source_address..][0..16];
        const is_mapped = std.mem.eql(u8, address[0..12], &mapped);
        const is_four = payload[0] == numbers.af_inet or is_mapped;
        const port = [4]u8{ payload[destination_port], payload[destination_port + 1], 0, 0 };
        var key: [20]u8 = undefined;
        const bytes = if (!is_four) address[0..16] else if (is_mapped) address[12..16] else address[0..4];
        @memcpy(key[0..bytes.len], bytes);
        @memcpy(key[bytes.len..][0..4], &port);
        self.clients[@intFromBool(!is_four)].add(key[0 .. bytes.len + 4]);
    }

    /// The served ports as keys; port 0 is in the set whenever the table was written: src/intercept/rules/sets.ts.
    pub fn ports(self: *Sockets, kept: *batch.Kept) void {
        kept.count = 0;
        self.served.set(0);
        var all = self.served.iterator(.{});
        while (all.next()) |port| kept.add(&.{ @intCast(port >> 8), @intCast(port & 0xff) });
    }
};

/// Requests the listening and the connected sockets of a family: struct inet_diag_req_v2.
pub fn ask(writer: *wire.Writer, family: u8) void {
    const at = writer.begin(numbers.diag.by_family, numbers.request | numbers.dump);
    writer.put(&.{ family, numbers.protocol_tcp, 0, 0 });
    writer.number(u32, states);
    writer.put(&@as([48]u8, @splat(0)));
    writer.end(at);
}

/// The mask in the rule among these requests, 0 if there is none.
pub fn mask_of(routing: []const u8) u32 {
    var messages: wire.Messages = .{ .rest = routing };
    while (messages.next()) |message| {
        if (message.kind != numbers.rtm.new_rule or message.payload.len < 12) continue;
        return wire.only_word(message.payload[12..], numbers.fra.mask) orelse 0;
    }
    return 0;
}

/// No packet from outside reaches such a listener, and another program may have dialled from its port.
fn is_loopback(payload: []const u8) bool {
    const address = payload[source_address..][0..16];
    if (payload[0] == numbers.af_inet) return address[0] == 127;
    return std.mem.eql(u8, address, &six_loopback) or (std.mem.eql(u8, address[0..12], &mapped) and address[12] == 127);
}

fn port_at(payload: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, payload[at..][0..2], .big);
}

/// struct inet_diag_msg: family, state, timer, retransmissions, then struct inet_diag_sockid.
const source_port = 4;
const destination_port = 6;
const source_address = 8;
const mapped = [12]u8{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
const six_loopback = [16]u8{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
/// net/tcp_states.h: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING.
const listening = 10;
const states = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << listening | 1 << 11;

fn answer(writer: *wire.Writer, head: []const u8, ends: [2]u16, address: []const u8, mark: u32) void {
    const at = writer.begin(numbers.diag.by_family, 0);
    writer.put(head);
    for (ends) |port| writer.put(&.{ @intCast(port >> 8), @intCast(port & 0xff) });
    writer.put(address);
    writer.put(@as([64]u8, @splat(0))[address.len..]);
    writer.attribute(numbers.diag.mark, std.mem.asBytes(&mark));
    writer.end(at);
}

test "listeners and the proxy's sockets to applications are found, and no others" {
    var buffer: [2048]u8 = undefined;
    var writer: wire.Writer = .{ .buffer = &buffer };
    const six = [16]u8{ 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
    answer(&writer, &.{ 2, listening, 0, 0 }, .{ 8080, 0 }, "", 0);
    answer(&writer, &.{ 2, listening, 0, 0 }, .{ 9001, 0 }, &.{ 127, 0, 0, 53 }, 0);
    answer(&writer, &.{ 10, listening, 0, 0 }, .{ 9002, 0 }, &six_loopback, 0);
    answer(&writer, &.{ 10, listening, 0, 0 }, .{ 9003, 0 }, &(mapped ++ [4]u8{ 127, 0, 0, 1 }), 0);
    answer(&writer, &.{ 2, 1, 0, 0 }, .{ 40_000, 8081 }, &.{ 10, 0, 0, 1 }, 0xff);
    answer(&writer, &.{ 10, 1, 0, 0 }, .{ 40_000, 8082 }, &six, 0xf);
    answer(&writer, &.{ 10, 1, 0, 0 }, .{ 40_000, 8083 }, &(mapped ++ [4]u8{ 10, 0, 0, 2 }), 0xf);
    answer(&writer, &.{ 2, 1, 0, 0 }, .{ 40_000, 8084 }, &.{ 10, 0, 0, 3 }, 5);
    answer(&writer, &.{ 2, 1, 0, 0 }, .{ 8080, 40_000 }, &.{ 10, 0, 0, 4 }, 0);
    var bytes: [2][64]u8 = undefined;
    var sockets: Sockets = .{ .mask = 0xf, .clients = .{
        .of(numbers.seen_clients[0], &bytes[0]),
        .of(numbers.seen_clients[1], &bytes[1]),
    } };
    var messages: wire.Messages = .{ .rest = writer.written() };
    while (messages.next()) |message| sockets.read(message);
    try std.testing.expectEqualSlices(u8, &.{ 10, 0, 0, 1, 0x1f, 0x91, 0, 0, 10, 0, 0, 2, 0x1f, 0x93, 0, 0 }, sockets.clients[0].keys());
    try std.testing.expectEqualSlices(u8, &(six ++ [4]u8{ 0x1f, 0x92, 0, 0 }), sockets.clients[1].keys());
    var keys: [32]u8 = undefined;
    var ports: batch.Kept = .of(numbers.served_ports, &keys);
    sockets.ports(&ports);
    try std.testing.expectEqualSlices(u8, &.{ 0, 0, 0x1f, 0x90, 0x1f, 0x91, 0x1f, 0x92, 0x1f, 0x93 }, ports.keys());
}

test "the mask is that of the rule" {
    var buffer: [128]u8 = undefined;
    var writer: wire.Writer = .{ .buffer = &buffer };
    const at = writer.begin(numbers.rtm.new_rule, 0);
    writer.put(&@as([12]u8, @splat(0)));
    writer.attribute(numbers.fra.mark, &.{ 10, 0, 0, 0 });
    writer.attribute(numbers.fra.mask, &.{ 15, 0, 0, 0 });
    writer.end(at);
    try std.testing.expectEqual(15, mask_of(writer.written()));
    try std.testing.expectEqual(0, mask_of(""));
}
