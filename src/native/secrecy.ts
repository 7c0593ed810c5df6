/** What holds a key is not for others to see: no core dump, and no ptrace(2) by the same user. prctl(2), setrlimit(2). */
import { check } from "./errno.ts";
import { shim } from "./native.ts";

/**
 * From here on this process is not dumpable: its memory is neither written to a core file nor read by others (/proc/PID/mem,
 * ptrace) unless they have CAP_SYS_PTRACE. An execve(2) ends that: the new program asks again. Throws SystemCallError.
 */
export function keepMemoryPrivate(): void {
  check("setrlimit(RLIMIT_CORE)", shim.tproxy_forbid_core());
  check("prctl(PR_SET_DUMPABLE)", shim.tproxy_forbid_dump());
}
