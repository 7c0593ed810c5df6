/** What all sockets of the proxy have in common: its mark, and the kernel's watch over silent peers. */
import * as native from "../native/native.ts";

export type SocketForm = {
  /** The proxy's own fwmark: what carries it is never intercepted. Null for sockets that leave no namespace. */
  readonly mark: number | null;
  readonly keepAliveMsMax: number | null;
  readonly userTimeoutMsMax: number | null;
};

export function formOf(
  { keepAliveMsMax, userTimeoutMsMax }: Omit<SocketForm, "mark">,
  mark: number,
): SocketForm {
  return { mark, keepAliveMsMax, userTimeoutMsMax };
}

/**
 * Forms a socket before bind(2) or connect(2); what a listening one accepts inherits it. A peer that is gone is
 * noticed after twice `keepAliveMsMax`. Throws SystemCallError.
 */
export function form(fd: number, of: SocketForm): void {
  if (of.mark !== null) native.setMark(fd, of.mark);
  if (of.keepAliveMsMax !== null) {
    const idleSeconds = Math.max(1, Math.round(of.keepAliveMsMax / 1000));
    const intervalSeconds = Math.max(1, Math.round(idleSeconds / keepAliveProbes));
    native.setKeepAlive(fd, { idleSeconds, intervalSeconds, probes: keepAliveProbes });
  }
  if (of.userTimeoutMsMax !== null) native.setUserTimeout(fd, of.userTimeoutMsMax);
}

/** Linux's own number: tcp_keepalive_probes. */
const keepAliveProbes = 9;
