/** Protects a process that holds a key: no core dump, and no ptrace(2) by the same user. prctl(2), setrlimit(2). */
import { check } from "./errno.ts";
import { shim } from "./native.ts";

/**
 * Makes this process undumpable: its memory is neither written to a core file nor readable to others (/proc/PID/mem,
 * ptrace) without CAP_SYS_PTRACE. An execve(2) reverts this: the new program calls it again. Throws SystemCallError.
 */
export function keepMemoryPrivate(): void {
  check("setrlimit(RLIMIT_CORE)", shim.tproxy_forbid_core());
  check("prctl(PR_SET_DUMPABLE)", shim.tproxy_forbid_dump());
}
