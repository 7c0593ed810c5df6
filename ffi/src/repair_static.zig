//! The repair process in the static executable, as an object of its own: when started by its name, the program never
//! becomes Bun. scripts/static/linker calls this before Bun's own entry point.
const std = @import("std");
const repair = @import("repair.zig");
const repair_start = @import("repair_start.zig");
const launcher = @import("repair_launcher.zig");

/// The stack as the kernel prepares it: argc, arguments, null, environment. Returns for any other name.
export fn link_repair_process(stack: [*]const ?[*:0]const u8) void {
    const count = @intFromPtr(stack[0]);
    const name = stack[1] orelse return;
    if (count == 1 and repair_start.is(name, repair_start.mark)) repair.run();
    if (count == 1 or !repair_start.is(name, repair_start.launcher_mark)) return;
    launcher.run(.{ .arguments = @ptrCast(stack + 2), .environment = @ptrCast(stack + 2 + count) });
}

/// No process reads a message of a panic.
pub const panic = std.debug.FullPanic(struct {
    fn stop(_: []const u8, _: ?usize) noreturn {
        repair.exit(3);
    }
}.stop);
