//! What Bun's executable for musl imports besides libc: the C++ runtime, and a dlopen() of the built-in shim. Linked
//! with musl's libc.a by scripts/static/build.zig; scripts/static/linker puts it beside Bun. Every export is in one
//! of these files.
const std = @import("std");

comptime {
    _ = @import("cast.zig");
    _ = @import("condition.zig");
    _ = @import("failure.zig");
    _ = @import("guard.zig");
    _ = @import("hash.zig");
    _ = @import("library.zig");
    _ = @import("list.zig");
    _ = @import("scrub.zig");
    _ = @import("tree.zig");
}

extern fn abort() noreturn;

/// Never called: Bun's own main is. musl's start files require one.
pub export fn main() callconv(.c) c_int {
    return 1;
}

pub const panic = std.debug.FullPanic(struct {
    fn stop(_: []const u8, _: ?usize) noreturn {
        abort();
    }
}.stop);
