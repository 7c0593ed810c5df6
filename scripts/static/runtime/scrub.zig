//! Runs before libc: removes environment variables that would turn the program into a general Bun, or tune it.

/// The stack as the kernel prepares it: argc, arguments, null, environment, null. System V ABI, 3.4.1.
export fn link_scrub(stack: [*]?[*:0]u8) void {
    const arguments = @intFromPtr(stack[0]);
    var to = stack + 1 + arguments + 1;
    var from = to;
    while (from[0]) |entry| : (from += 1) {
        if (is_setting(entry)) continue;
        to[0] = entry;
        to += 1;
    }
    // The auxiliary vector begins after the null that ends the environment, so its place must not move.
    while (@intFromPtr(to) < @intFromPtr(from)) : (to += 1) to[0] = @constCast(nothing);
}

/// BUN_BE_BUN turns any program into the Bun CLI; BUN_OPTIONS and NODE_OPTIONS give it flags.
fn is_setting(entry: [*:0]const u8) bool {
    return for (prefixes) |prefix| {
        if (begins(entry, prefix)) break true;
    } else false;
}

fn begins(entry: [*:0]const u8, prefix: []const u8) bool {
    for (prefix, 0..) |byte, at| if (entry[at] != byte) return false;
    return true;
}

const prefixes = [_][]const u8{ "BUN_", "NODE_", "JSC_", "MIMALLOC_" };
/// A variable that no program reads; duplicates do no harm.
const nothing: [*:0]const u8 = "_=";

test "settings are removed, all else stays in order, and the end stays in place" {
    const std = @import("std");
    var name = "tproxy".*;
    var kept = "PATH=/bin".*;
    var bun = "BUN_BE_BUN=1".*;
    var node = "NODE_OPTIONS=x".*;
    var last = "BUNNY=1".*;
    var stack = [_]?[*:0]u8{ @ptrFromInt(1), &name, null, &bun, &kept, &node, &last, null };
    link_scrub(&stack);
    try std.testing.expect(stack[1] == @as(?[*:0]u8, &name));
    try std.testing.expect(stack[3] == @as(?[*:0]u8, &kept));
    try std.testing.expect(stack[4] == @as(?[*:0]u8, &last));
    for (stack[5..7]) |entry| try std.testing.expectEqualStrings("_=", std.mem.span(entry.?));
    try std.testing.expect(stack[7] == null);
}
