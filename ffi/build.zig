const std = @import("std");

/// `zig build` makes lib/libtproxy.so and bin/tproxy-repair; `zig build test` runs the tests of both.
/// The static executable has both built in: scripts/static/build.zig.
pub fn build(b: *std.Build) void {
    // Not this machine's CPU model: the file runs on other machines too.
    const host = b.resolveTargetQuery(.{ .cpu_model = .baseline });
    const library = b.addLibrary(.{ .name = "tproxy", .root_module = shim(b, host), .linkage = .dynamic });
    b.installArtifact(library);
    b.installArtifact(repair_process(b, host));

    const module = b.createModule(.{ .root_source_file = b.path("src/shim.zig"), .target = host });
    const tests = b.addRunArtifact(b.addTest(.{ .root_module = module }));
    b.step("test", "run the tests of the shim").dependOn(&tests.step);
}

/// For the flavours without an entry point before Bun's. Without libc, so that it starts and stays small.
fn repair_process(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step.Compile {
    const module = repair_module(b, target, "src/repair_main.zig");
    return b.addExecutable(.{ .name = "tproxy-repair", .root_module = module, .linkage = .static });
}

pub fn repair_module(b: *std.Build, target: std.Build.ResolvedTarget, root: []const u8) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = .ReleaseSmall,
        .strip = true,
        .single_threaded = true,
        .unwind_tables = .none,
    });
}

pub fn shim(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path("src/shim.zig"),
        .target = target,
        .optimize = .ReleaseFast,
        .strip = true,
    });
}
