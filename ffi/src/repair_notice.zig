//! Which notices the repair process treats as changes to our rules by another process. Pure: bytes in, an answer out.
const std = @import("std");
const numbers = @import("repair_numbers.zig");
const wire = @import("repair_wire.zig");

/// Another process's change to our table, worst last.
pub const TableChange = enum(u2) {
    none,
    /// Part of it is gone, or its rules or elements differ: it is completed.
    content,
    /// Something was added to it, or the change is unknown: it is rewritten from nothing.
    shape,

    pub fn worse(self: TableChange, other: TableChange) TableChange {
        return if (@intFromEnum(other) > @intFromEnum(self)) other else self;
    }
};

/// The sum of successive notices. The kernel announces a transaction before it begins the next: a change announced
/// before the repair process's own write existed when it wrote.
pub const TableChanges = struct {
    sum: TableChange = .none,
    /// The last own write was from nothing, not a completion: nothing that others had added is left.
    from_nothing: bool = false,
    /// Notices were lost: which, and since when, is unknown.
    lost: bool = false,

    /// `own` is the port of the socket that the repair process writes with, `fleeting` names sets that packets
    /// change.
    pub fn hear(self: *TableChanges, bytes: []const u8, own: u32, fleeting: *const Names) void {
        var messages: wire.Messages = .{ .rest = bytes };
        while (messages.next()) |message| {
            if (message.port != own) {
                self.sum = self.sum.worse(table_change_of(message, fleeting));
                // Elements of sets that packets change are added separately, and complete nothing.
            } else if (table_change_of(message, fleeting) != .none and (self.from_nothing or self.sum == .content)) self.sum = .none;
        }
        if (bytes.len == 0 or messages.broken) self.lost = true;
    }

    pub fn worst(self: *const TableChanges) TableChange {
        return if (self.lost) .shape else self.sum;
    }
};

fn table_change_of(message: wire.Message, fleeting: *const Names) TableChange {
    if (message.kind >> 8 != numbers.nft.subsystem) return .none;
    if (message.payload.len < 4) return .shape;
    const kind: u8 = @truncate(message.kind);
    const attributes = message.payload[4..];
    const is_added = std.mem.indexOfScalar(u8, &numbers.nft.added, kind) != null;
    const is_element = std.mem.indexOfScalar(u8, &numbers.nft.set_elements, kind) != null;
    if (!is_added and !is_element and std.mem.indexOfScalar(u8, &numbers.nft.changed, kind) == null) return .none;
    if (message.payload[0] != numbers.family_inet) return .none;
    if (!std.mem.eql(u8, wire.only(attributes, 1) orelse return .shape, numbers.table)) return .none;
    if (is_element and fleeting.has(wire.only(attributes, 2) orelse return .shape)) return .none;
    return if (is_added) .shape else .content;
}

/// Another process's change to rules, routes and addresses.
pub const RouteChange = enum(u2) {
    none,
    /// Nothing of ours, but ours may have disappeared with it.
    near,
    ours,

    pub fn worse(self: RouteChange, other: RouteChange) RouteChange {
        return if (@intFromEnum(other) > @intFromEnum(self)) other else self;
    }
};

pub fn route_change(bytes: []const u8, own: u32) RouteChange {
    var messages: wire.Messages = .{ .rest = bytes };
    var change: RouteChange = .none;
    while (messages.next()) |message| {
        if (message.port == own) continue;
        change = change.worse(route_change_of(message));
    }
    return if (messages.broken) .near else change;
}

fn route_change_of(message: wire.Message) RouteChange {
    const payload = message.payload;
    switch (message.kind) {
        numbers.rtm.new_rule, numbers.rtm.delete_rule => {
            if (payload.len < 12) return .near;
            const attributes = payload[12..];
            return if (wire.only_word(attributes, numbers.fra.table) == numbers.routing_table) .ours else .near;
        },
        // When IPv6 is turned on again on `lo`, the only notice is about some route that returns.
        numbers.rtm.new_route, numbers.rtm.delete_route => {
            if (payload.len < 12) return .near;
            return if (wire.only_word(payload[12..], numbers.rta.table) == numbers.routing_table) .ours else if (payload[0] == numbers.af_inet6) .near else .none;
        },
        numbers.rtm.new_address, numbers.rtm.delete_address => {
            if (payload.len < 8) return .near;
            const address = wire.only(payload[8..], numbers.ifa.address) orelse return .near;
            const is_alias = std.mem.eql(u8, address, &numbers.alias4) or std.mem.eql(u8, address, &numbers.alias6);
            return if (is_alias) .ours else if (wire.word(payload, 4) == numbers.loopback) .near else .none;
        },
        // struct ifinfomsg: routes on `lo` disappear when it is set down, without their own notices.
        numbers.rtm.new_link => return if (payload.len < 16 or wire.word(payload, 4) == numbers.loopback) .near else .none,
        else => return .none,
    }
}

/// Names of sets, each ended by NUL, as in their batch.
pub const Names = struct {
    all: [names_max][]const u8 = @splat(""),
    count: usize = 0,

    pub fn has(self: *const Names, name: []const u8) bool {
        for (self.all[0..self.count]) |one| if (std.mem.eql(u8, one, name)) return true;
        return false;
    }
};
const names_max = 16;

/// The sets of a batch that packets change: NFT_SET_EVAL.
pub fn fleeting_sets(batch: []const u8) Names {
    var names: Names = .{};
    var messages: wire.Messages = .{ .rest = batch };
    while (messages.next()) |message| {
        if (message.kind != numbers.nft.subsystem << 8 | numbers.nft.new_set or message.payload.len < 4) continue;
        const flags = wire.only(message.payload[4..], 3) orelse continue;
        if (flags.len != 4 or flags[3] & numbers.set_eval == 0 or names.count == names_max) continue;
        names.all[names.count] = wire.only(message.payload[4..], 2) orelse continue;
        names.count += 1;
    }
    return names;
}
