//! What the repair process gives up before it reads its first message: signals, inspection by other processes of its
//! user, and every system call that it does not need. capabilities(7), prctl(2), seccomp(2).
const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const socket = @import("socket.zig");

/// Called first. The process dies with the proxy: by SIGKILL, or else at the end of its socket. A signal to the whole
/// process group or control group (SIGTERM, SIGINT) is blocked here, because the proxy handles it and continues for a
/// while. `name` is what ps and top show; the kernel keeps fifteen bytes.
pub fn settle(name: [*:0]const u8) void {
    _ = linux.prctl(@intFromEnum(linux.PR.SET_NAME), @intFromPtr(name), 0, 0, 0);
    _ = linux.prctl(@intFromEnum(linux.PR.SET_PDEATHSIG), @intFromEnum(linux.SIG.KILL), 0, 0, 0);
    _ = linux.prctl(@intFromEnum(linux.PR.SET_DUMPABLE), 0, 0, 0, 0);
    const all: u64 = std.math.maxInt(u64);
    _ = linux.syscall4(.rt_sigprocmask, linux.SIG.BLOCK, @intFromPtr(&all), 0, @sizeOf(u64));
}

/// Allows only these system calls from here on; any other ends the process. Returns 0, or -errno if the kernel has no
/// filters.
pub fn seal() i32 {
    const program: Program = .{ .length = filter.len, .filter = &filter };
    return socket.result(linux.prctl(@intFromEnum(linux.PR.SET_SECCOMP), linux.SECCOMP.MODE.FILTER, @intFromPtr(&program), 0, 0));
}

const allowed = [_]linux.SYS{ .ppoll, .recvfrom, .sendto, .read, .clock_gettime, .madvise, .restart_syscall, .exit_group };

/// struct sock_filter and struct sock_fprog: linux/filter.h.
const Instruction = extern struct { code: u16, yes: u8 = 0, no: u8 = 0, k: u32 };
const Program = extern struct { length: u16, filter: [*]const Instruction };

/// The call's number is at offset 0 of struct seccomp_data, the architecture at 4. A number of x86's other ABI (x32)
/// is not in the list.
const filter = build: {
    var all: [3 + allowed.len + 2]Instruction = undefined;
    all[0] = .{ .code = load, .k = 4 };
    all[1] = .{ .code = jump_equal, .yes = 1, .k = architecture };
    all[2] = .{ .code = answer, .k = kill };
    all[3] = .{ .code = load, .k = 0 };
    for (allowed, 4..) |call, at|
        all[at] = .{ .code = jump_equal, .yes = allowed.len - (at - 4), .k = @intFromEnum(call) };
    all[4 + allowed.len] = .{ .code = answer, .k = kill };
    break :build all ++ [1]Instruction{.{ .code = answer, .k = allow }};
};

const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jump_equal = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const answer = 0x06; // BPF_RET | BPF_K
const allow = 0x7fff_0000;
const kill = 0x8000_0000; // SECCOMP_RET_KILL_PROCESS
/// linux/audit.h
const architecture: u32 = switch (builtin.cpu.arch) {
    .x86_64 => 0xc000_003e,
    .aarch64 => 0xc000_00b7,
    else => @compileError("the filter of the repair process does not know this processor"),
};

/// The filter's verdict on a call.
fn judged(arch: u32, call: u32) u32 {
    var at: usize = 0;
    var accumulator: u32 = 0;
    while (true) : (at += 1) {
        const one = filter[at];
        switch (one.code) {
            load => accumulator = if (one.k == 0) call else arch,
            jump_equal => at += if (accumulator == one.k) one.yes else one.no,
            else => return one.k,
        }
    }
}

test "the filter allows the calls in the list, and no others" {
    var passed: usize = 0;
    for (0..1024) |call| {
        if (judged(architecture, @intCast(call)) == allow) passed += 1;
        try std.testing.expectEqual(kill, judged(architecture ^ 1, @intCast(call)));
        try std.testing.expectEqual(kill, judged(architecture, @intCast(call | 0x4000_0000)));
    }
    try std.testing.expectEqual(allowed.len, passed);
    for (allowed) |call| try std.testing.expectEqual(allow, judged(architecture, @intCast(@intFromEnum(call))));
}
