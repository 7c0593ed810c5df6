//! The keeper as an executable of its own, for a program that is started by Bun or by glibc's loader; the static executable
//! has it built in: keeper_static.zig.
const std = @import("std");
const keeper = @import("keeper.zig");

pub fn main() noreturn {
    keeper.run();
}

/// There is no one to tell.
pub const panic = std.debug.FullPanic(struct {
    fn stop(_: []const u8, _: ?usize) noreturn {
        keeper.exit(3);
    }
}.stop);
