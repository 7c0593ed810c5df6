/**
 * Whether sockets can be opened: Bun does not always say why one of its own could not (it loses EMFILE). Unix sockets,
 * which need no network.
 */
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { ProxyError } from "../runtime/errors.ts";

/** Opens so many sockets at once, and closes them again. Throws SYSTEM_CALL with the remedy. */
export function assertSocketsFree(count: number): void {
  using opened = new DisposableStack();
  for (let at = 0; at < count; at += 1) opened.adopt(openOne(), native.close);
}

/** Why so many sockets cannot be opened at this moment, null if they can. */
export function socketShortage(count: number): ProxyError | null {
  try {
    assertSocketsFree(count);
    return null;
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

function openOne(): number {
  try {
    return native.openUnixStream();
  } catch (error) {
    if (!(error instanceof SystemCallError) || !forbidding.has(errnoName(error.errno))) throw error;
    throw new ProxyError("SYSTEM_CALL", `${error.message}. ${allow}`, { cause: error });
  }
}

/** By systemd, and by seccomp(2) or a security module. */
const forbidding: ReadonlySet<string> = new Set(["EAFNOSUPPORT", "EPERM", "EACCES"]);
const allow =
  "Allow sockets of the family AF_UNIX (RestrictAddressFamilies= in systemd, seccomp profiles of containers)";
