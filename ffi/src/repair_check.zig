//! The messages that the repair process lets through: those for our table, our routing table and rule, and our
//! addresses on `lo`. Pure: bytes in, yes or no out.
const std = @import("std");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

/// True if a batch changes only our table: one transaction, whose every message names that table.
pub fn is_batch_of_ours(bytes: []const u8) bool {
    var messages: wire.Messages = .{ .rest = bytes };
    const first = messages.next() orelse return false;
    if (!is_edge(first, numbers.nft.batch_begin)) return false;
    while (messages.next()) |message| {
        if (is_edge(message, numbers.nft.batch_end)) return messages.rest.len == 0;
        if (!is_about_ours(message)) return false;
    }
    return false;
}

/// struct nfgenmsg with the subsystem as its resource.
fn is_edge(message: wire.Message, kind: u16) bool {
    return message.kind == kind and std.mem.eql(u8, message.payload, &.{ 0, 0, 0, numbers.nft.subsystem });
}

fn is_about_ours(message: wire.Message) bool {
    if (message.kind >> 8 != numbers.nft.subsystem) return false;
    const kind: u8 = @truncate(message.kind);
    if (std.mem.indexOfScalar(u8, &numbers.nft.allowed, kind) == null) return false;
    if (message.payload.len < 4 or message.payload[0] != numbers.family_inet) return false;
    const attributes = message.payload[4..];
    // NFTA_TABLE_HANDLE would identify the table instead of the name.
    const by_handle = kind == numbers.nft.new_table or kind == numbers.nft.delete_table;
    if (by_handle and !has_only(attributes, &.{ 1, 2, 6 })) return false;
    return std.mem.eql(u8, wire.only(attributes, 1) orelse return false, numbers.table);
}

/// True if each message adds our rule, our route or our address on `lo`, and replaces nothing.
pub fn is_routing_of_ours(bytes: []const u8) bool {
    var messages: wire.Messages = .{ .rest = bytes };
    while (messages.next()) |message| {
        if (message.flags != numbers.request | numbers.ack | numbers.create | numbers.exclusive) return false;
        const fits = switch (message.kind) {
            numbers.rtm.new_rule => is_our_rule(message.payload),
            numbers.rtm.new_route => is_our_route(message.payload),
            numbers.rtm.new_address => is_our_address(message.payload),
            else => false,
        };
        if (!fits) return false;
    }
    return !messages.broken;
}

/// struct fib_rule_hdr: family, lengths, tos, table, two reserved, action, flags.
fn is_our_rule(payload: []const u8) bool {
    if (payload.len < 12 or !is_family(payload[0])) return false;
    if (!std.mem.eql(u8, payload[1..12], &.{ 0, 0, 0, 0, 0, 0, numbers.action_lookup, 0, 0, 0, 0 })) return false;
    const attributes = payload[12..];
    if (!has_only(attributes, &.{ numbers.fra.mark, numbers.fra.mask, numbers.fra.interface, numbers.fra.table, numbers.fra.priority })) return false;
    if (wire.only_word(attributes, numbers.fra.mark) orelse 0 == 0 or wire.only_word(attributes, numbers.fra.mask) orelse 0 == 0) return false;
    if (!std.mem.eql(u8, wire.only(attributes, numbers.fra.interface) orelse return false, "lo\x00")) return false;
    return wire.only_word(attributes, numbers.fra.table) == numbers.routing_table and wire.only_word(attributes, numbers.fra.priority) == numbers.rule_priority;
}

/// struct rtmsg: family, lengths, tos, table, protocol, scope, type, flags.
fn is_our_route(payload: []const u8) bool {
    if (payload.len < 12 or !is_family(payload[0])) return false;
    if (!std.mem.eql(u8, payload[1..5], &.{ 0, 0, 0, 0 }) or payload[7] != numbers.type_local or wire.word(payload, 8) != 0) return false;
    const attributes = payload[12..];
    if (!has_only(attributes, &.{ numbers.rta.destination, numbers.rta.interface, numbers.rta.metric, numbers.rta.table })) return false;
    if (!std.mem.allEqual(u8, wire.only(attributes, numbers.rta.destination) orelse return false, 0)) return false;
    return wire.only_word(attributes, numbers.rta.table) == numbers.routing_table and wire.only_word(attributes, numbers.rta.interface) orelse 0 > 0;
}

/// For a message that `is_routing_of_ours` allows: true if it concerns `lo`, without which nothing is diverted. A
/// route by another interface disappears with that interface.
pub fn is_needed(message: wire.Message) bool {
    if (message.kind != numbers.rtm.new_route) return true;
    return wire.only_word(message.payload[12..], numbers.rta.interface) == numbers.loopback;
}

/// struct ifaddrmsg: family, prefix, flags, scope, index.
fn is_our_address(payload: []const u8) bool {
    if (payload.len < 8 or !is_family(payload[0])) return false;
    const alias: []const u8 = if (payload[0] == numbers.af_inet) &numbers.alias4 else &numbers.alias6;
    if (payload[1] != alias.len * 8 or payload[2] != 0 or wire.word(payload, 4) != numbers.loopback) return false;
    const attributes = payload[8..];
    if (!has_only(attributes, &.{ numbers.ifa.address, numbers.ifa.local, numbers.ifa.cache })) return false;
    for ([_]u16{ numbers.ifa.address, numbers.ifa.local }) |kind|
        if (!std.mem.eql(u8, wire.only(attributes, kind) orelse return false, alias)) return false;
    return true;
}

fn is_family(family: u8) bool {
    return family == numbers.af_inet or family == numbers.af_inet6;
}

/// True if there are only these attributes.
fn has_only(bytes: []const u8, kinds: []const u16) bool {
    var attributes: wire.Attributes = .{ .rest = bytes };
    while (attributes.next()) |attribute|
        if (std.mem.indexOfScalar(u16, kinds, attribute.kind) == null) return false;
    return !attributes.broken;
}

/// struct inet_diag_req_v2 for one TCP socket: family, protocol, extensions, padding, states, then both ends.
pub fn is_one_socket(body: []const u8) bool {
    if (body.len != socket_request_size or !is_family(body[0])) return false;
    return body[1] == numbers.protocol_tcp and body[2] == 0 and body[3] == 0;
}
pub const socket_request_size = 56;
