const std = @import("std");

/// `zig build` makes lib/libtproxy.so; `zig build test` runs the shim's own tests.
pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const root = b.createModule(.{
        .root_source_file = b.path("src/shim.zig"),
        .target = target,
        .optimize = b.standardOptimizeOption(.{ .preferred_optimize_mode = .ReleaseFast }),
    });
    const library = b.addLibrary(.{ .name = "tproxy", .root_module = root, .linkage = .dynamic });
    b.installArtifact(library);

    const tests = b.addTest(.{ .root_module = root });
    b.step("test", "run the shim's tests").dependOn(&b.addRunArtifact(tests).step);
}
