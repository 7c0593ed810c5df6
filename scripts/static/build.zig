const std = @import("std");

/// `zig build -Dstub=FILE` makes bin/runtime, which the linker puts beside Bun; FILE is the assembly that
/// linker/stub.ts writes. `zig build test` runs the tests of the runtime.
pub fn build(b: *std.Build) void {
    const tests = b.addTest(.{ .root_module = b.createModule(.{
        .root_source_file = b.path("runtime/tests.zig"),
        .target = b.graph.host,
    }) });
    b.step("test", "run the tests of the runtime").dependOn(&b.addRunArtifact(tests).step);

    if (b.option([]const u8, "stub", "assembly of linker/stub.ts")) |stub| b.installArtifact(runtime(b, stub));
}

/// An executable at fixed addresses far above Bun's (linker/stub.ts: runtimeAddress).
fn runtime(b: *std.Build, stub: []const u8) *std.Build.Step.Compile {
    // Not this machine's CPU model: the file runs on other machines too.
    const target = b.resolveTargetQuery(.{ .cpu_arch = .x86_64, .cpu_model = .baseline, .os_tag = .linux, .abi = .musl });
    const module = runtime_module(b, target);
    module.addAssemblyFile(.{ .cwd_relative = stub });
    // Zig 0.16 crashes if the repair process is part of the runtime's own module.
    module.addObject(b.addObject(.{ .name = "repair", .root_module = repair_module(b, target), .use_llvm = true }));
    const executable = b.addExecutable(.{ .name = "runtime", .root_module = module, .linkage = .static, .use_llvm = true, .use_lld = true });
    executable.entry = .{ .symbol_name = "link_start" };
    executable.image_base = 0x4000_0000;
    executable.build_id = .none;
    executable.link_z_relro = false;
    return executable;
}

fn runtime_module(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Module {
    const shim = b.dependency("tproxy_shim", .{}).builder;
    return b.createModule(.{
        .root_source_file = b.path("runtime/runtime.zig"),
        .target = target,
        // ReleaseSmall's memcpy costs 30 % of CPU.
        .optimize = .ReleaseFast,
        .link_libc = true,
        .single_threaded = true,
        .unwind_tables = .none,
        .imports = &.{.{ .name = "shim", .module = ffi.shim(shim, target) }},
    });
}

fn repair_module(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Module {
    return ffi.repair_module(b.dependency("tproxy_shim", .{}).builder, target, "src/repair_static.zig");
}

/// ffi/build.zig: the shim and the repair process are compiled as they are there.
const ffi = @import("tproxy_shim");
