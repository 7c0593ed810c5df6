//! The keeper in the static executable, as an object of its own: started by its name, the program never becomes Bun.
//! scripts/linker calls this before Bun's own entry.
const std = @import("std");
const keeper = @import("keeper.zig");
const keeper_start = @import("keeper_start.zig");

/// The stack as the kernel leaves it at the start: argc, arguments. Returns for any other name.
export fn link_keeper(stack: [*]const ?[*:0]const u8) void {
    if (@intFromPtr(stack[0]) != 1) return;
    const name = stack[1] orelse return;
    if (keeper_start.is_mark(name)) keeper.run();
}

/// There is no one to tell.
pub const panic = std.debug.FullPanic(struct {
    fn stop(_: []const u8, _: ?usize) noreturn {
        keeper.exit(3);
    }
}.stop);
