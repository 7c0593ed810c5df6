//! Root of the runtime's tests: the parts that need no C++ around them.
test {
    _ = @import("hash.zig");
    _ = @import("list.zig");
    _ = @import("scrub.zig");
    _ = @import("tree.zig");
}
