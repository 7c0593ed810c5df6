//! Where libstdc++ would throw: Bun is built without exceptions, so each aborts with a short reason.
extern fn abort() noreturn;
extern fn write(fd: c_int, bytes: [*]const u8, size: usize) isize;

fn stop(comptime what: []const u8) noreturn {
    const message = "fatal: C++ " ++ what ++ "\n";
    _ = write(2, message.ptr, message.len);
    abort();
}

export fn _ZSt17__throw_bad_allocv() noreturn {
    stop("bad_alloc");
}

export fn _ZSt28__throw_bad_array_new_lengthv() noreturn {
    stop("bad_array_new_length");
}

export fn _ZSt25__throw_bad_function_callv() noreturn {
    stop("bad_function_call");
}

export fn _ZSt19__throw_logic_errorPKc(_: ?[*:0]const u8) noreturn {
    stop("logic_error");
}

export fn _ZSt20__throw_length_errorPKc(_: ?[*:0]const u8) noreturn {
    stop("length_error");
}

export fn _ZSt24__throw_out_of_range_fmtPKcz(_: ?[*:0]const u8) noreturn {
    stop("out_of_range");
}

export fn _ZSt20__throw_system_errori(_: c_int) noreturn {
    stop("system_error");
}

export fn _ZSt21__glibcxx_assert_failPKciS0_S0_(_: ?[*:0]const u8, _: c_int, _: ?[*:0]const u8, _: ?[*:0]const u8) noreturn {
    stop("assertion");
}

export fn _ZSt9terminatev() noreturn {
    stop("terminate");
}

export fn __cxa_bad_typeid() noreturn {
    stop("bad_typeid");
}

export fn __cxa_pure_virtual() noreturn {
    stop("pure virtual function");
}

/// std::set_terminate: there was no former handler, and the new one is never called.
export fn _ZSt13set_terminatePFvvE(_: ?*const anyopaque) ?*const anyopaque {
    return null;
}

/// std::get_new_handler: none.
export fn _ZSt15get_new_handlerv() ?*const anyopaque {
    return null;
}

/// Names in crash reports stay mangled: -2 is "no mangled name" (Itanium C++ ABI, 3.4).
export fn __cxa_demangle(_: ?[*:0]const u8, _: ?[*]u8, _: ?*usize, status: ?*c_int) ?[*]u8 {
    if (status) |to| to.* = -2;
    return null;
}
