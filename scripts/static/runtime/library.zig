//! dlopen() in a static executable: the shim is built in, and nothing else can be loaded.
const std = @import("std");
const shim = @import("shim");

extern fn strcmp(a: [*:0]const u8, b: [*:0]const u8) c_int;

/// src/native/native.ts loads it by this name.
const built_in = "libtproxy-built-in.so";

const Export = struct { name: [*:0]const u8, address: *const anyopaque };

const exports = table: {
    const declarations = @typeInfo(shim).@"struct".decls;
    var all: [declarations.len]Export = undefined;
    for (declarations, &all) |declaration, *one|
        one.* = .{ .name = declaration.name, .address = @ptrCast(&@field(shim, declaration.name)) };
    break :table all;
};

var handle: u8 = 0;
var failure: ?[*:0]const u8 = null;

export fn dlopen(path: ?[*:0]const u8, _: c_int) ?*anyopaque {
    if (path) |name| if (strcmp(name, built_in) == 0) return &handle;
    failure = "nothing can be loaded into this static executable";
    return null;
}

export fn dlsym(of: ?*anyopaque, name: [*:0]const u8) ?*const anyopaque {
    if (of == @as(?*anyopaque, &handle)) for (exports) |one| if (strcmp(one.name, name) == 0) return one.address;
    failure = "there is no such symbol";
    return null;
}

export fn dlclose(_: ?*anyopaque) c_int {
    return 0;
}

/// The last failure, returned once.
export fn dlerror() ?[*:0]const u8 {
    defer failure = null;
    return failure;
}
