const std = @import("std");

/// `zig build` makes lib/libtproxy.so and bin/tproxy-keeper; `zig build runtime -Dstub=FILE` what scripts/linker puts beside Bun in the static
/// executable; `zig build test` runs the tests of both.
pub fn build(b: *std.Build) void {
    // Not this machine's processor: the file is for others too.
    const host = b.resolveTargetQuery(.{ .cpu_model = .baseline });
    const library = b.addLibrary(.{ .name = "tproxy", .root_module = shim(b, host), .linkage = .dynamic });
    b.installArtifact(library);
    b.installArtifact(keeper(b, host));

    const tests = b.step("test", "run the tests of the shim and of the runtime");
    for ([_][]const u8{ "src/shim.zig", "static/tests.zig" }) |root| {
        const module = b.createModule(.{ .root_source_file = b.path(root), .target = host });
        tests.dependOn(&b.addRunArtifact(b.addTest(.{ .root_module = module })).step);
    }

    if (b.option([]const u8, "stub", "assembly of scripts/linker")) |stub| add_runtime(b, stub);
}

/// For the flavours that have no entry before Bun's. No libc: it is started and stays as small as it is.
fn keeper(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step.Compile {
    const module = keeper_module(b, target, "src/keeper_main.zig");
    return b.addExecutable(.{ .name = "tproxy-keeper", .root_module = module, .linkage = .static });
}

fn keeper_module(b: *std.Build, target: std.Build.ResolvedTarget, root: []const u8) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = .ReleaseSmall,
        .strip = true,
        .single_threaded = true,
        .unwind_tables = .none,
    });
}

fn shim(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path("src/shim.zig"),
        .target = target,
        .optimize = .ReleaseFast,
        .strip = true,
    });
}

fn runtime_module(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path("static/runtime.zig"),
        .target = target,
        // ReleaseSmall's memcpy costs 30 % of CPU.
        .optimize = .ReleaseFast,
        .link_libc = true,
        .single_threaded = true,
        .unwind_tables = .none,
        .imports = &.{.{ .name = "shim", .module = shim(b, target) }},
    });
}

/// An executable at fixed addresses far above Bun's.
fn add_runtime(b: *std.Build, stub: []const u8) void {
    const target = b.resolveTargetQuery(.{ .cpu_arch = .x86_64, .cpu_model = .baseline, .os_tag = .linux, .abi = .musl });
    const module = runtime_module(b, target);
    module.addAssemblyFile(.{ .cwd_relative = stub });
    // Zig 0.16 dies of a SEGV where the keeper is a part of the runtime's own module.
    const built_in = keeper_module(b, target, "src/keeper_static.zig");
    module.addObject(b.addObject(.{ .name = "keeper", .root_module = built_in, .use_llvm = true }));
    const runtime = b.addExecutable(.{ .name = "runtime", .root_module = module, .linkage = .static, .use_llvm = true, .use_lld = true });
    runtime.entry = .{ .symbol_name = "link_start" };
    runtime.image_base = 0x4000_0000;
    runtime.build_id = .none;
    runtime.link_z_relro = false;
    const install = b.addInstallArtifact(runtime, .{});
    b.step("runtime", "make the static executable's runtime").dependOn(&install.step);
}
