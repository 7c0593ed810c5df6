//! Repair process and launcher as an executable of their own, for a program that Bun or glibc's loader starts; the
//! static executable has them built in: repair_static.zig.
const std = @import("std");
const repair = @import("repair.zig");
const repair_start = @import("repair_start.zig");
const launcher = @import("repair_launcher.zig");

pub fn main(init: std.process.Init.Minimal) noreturn {
    const arguments = init.args.vector;
    if (arguments.len > 1 and repair_start.is(arguments[0], repair_start.launcher_mark))
        launcher.run(.{ .arguments = @ptrCast(arguments.ptr + 1), .environment = @ptrCast(init.environ.block.slice.ptr) });
    repair.run();
}

/// No process reads a message of a panic.
pub const panic = std.debug.FullPanic(struct {
    fn stop(_: []const u8, _: ?usize) noreturn {
        repair.exit(3);
    }
}.stop);
