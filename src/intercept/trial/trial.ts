/**
 * Trial connections: made like an application's, through all rules, to a listener of the proxy. Only the kernel
 * handles them, within the call, and they end by RST before the proxy has looked at them: no destination is dialled.
 */
import { networkInterfaces } from "node:os";

import type { Fixed } from "../rules/interception.ts";
import { errnoName, SystemCallError } from "../../native/errno.ts";
import * as native from "../../native/native.ts";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  parseHost,
  portedAs,
  type SocketAddress,
} from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import { readConnections } from "../kernel/proc-tcp.ts";
import { foreignRules } from "./trace.ts";
import type { KnownAddresses, Local, Target } from "./targets.ts";

export type TrialOutcome = {
  readonly target: Target;
  readonly kind:
    | "works"
    /** No answer came back: a rule drops the packet or the answer. */
    | "lost"
    /** Reset, or refused by ICMP. */
    | "refused"
    /** Another host answered: it was not diverted. */
    | "not-diverted"
    /** There is no route, so no application can make it either. */
    | "no-route";
};

/** `mark`: the mark of the trial's packets, for its own rules and routes; 0 as for an application. */
export function tryConnections(targets: readonly Target[], mark = 0): readonly TrialOutcome[] {
  const begun = targets.map((target) => begin(target, mark));
  const until = performance.now() + answerMsMax;
  const waits = (): boolean =>
    begun.some(({ fd }) => fd !== null && native.tcpState(fd) === "syn-sent");
  while (waits() && performance.now() < until) Bun.sleepSync(lookMs);
  const here = new Set(
    readConnections().map(({ source, sourcePort }) => keyOf(source, sourcePort)),
  );
  return begun.map(({ target, fd, kind }) => {
    if (fd === null) return { target, kind };
    const outcome = kindOf(fd, target.address, here);
    native.setResetOnClose(fd, true);
    native.close(fd);
    return { target, kind: outcome };
  });
}

/** Why this process's own connections do not represent the applications', or null. */
export function whyNotTried(fixed: Fixed): string | null {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const { onlyUids, onlyGids, excludedUids, excludedGids } = fixed;
  if (onlyUids !== "all" && !onlyUids.includes(uid))
    return "only other users' are diverted (--only-uid)";
  if (onlyGids !== "all" && !onlyGids.includes(gid))
    return "only other groups' are diverted (--only-gid)";
  const excluded = excludedUids.includes(uid) || excludedGids.includes(gid);
  return excluded ? "this user's or group's are excluded (--exclude-uid, --exclude-gid)" : null;
}

/** The known addresses of this network namespace that trials must cover. */
export function knownAddresses(): KnownAddresses {
  const named = foreignRules().flatMap(({ ranges }) => ranges);
  return { locals: localAddresses(), named };
}

/** The local addresses, except those of lo and link-local ones. */
function localAddresses(): readonly Local[] {
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(
      ({ internal, cidr, address }) => !internal && cidr !== null && !/^fe[89ab]/.test(address),
    )
    .map(({ address, cidr }) => ({ address: parseHost(address), network: parseCidr(cidr ?? "") }));
}

type Begun = {
  readonly target: Target;
  readonly fd: number | null;
  readonly kind: TrialOutcome["kind"];
};

function begin(target: Target, mark: number): Begun {
  const { address } = target;
  const fd = native.openStream(
    address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6,
  );
  try {
    if (mark !== 0) {
      native.setMark(fd, mark);
      // By the mark's route it would be the destination's own address.
      native.bind(fd, sourceFor(address));
    }
    native.beginConnect(fd, encodeSocketAddress(address));
    return { target, fd, kind: "lost" };
  } catch (error) {
    native.close(fd);
    if (!(error instanceof SystemCallError)) throw error;
    const code = errnoName(error.errno);
    return { target, fd: null, kind: noRoute.has(code) ? "no-route" : "refused" };
  }
}

/**
 * Flat address with port 0 that the kernel uses as the source toward `address`: udp(7), connect(2). Throws
 * SystemCallError.
 */
function sourceFor(address: SocketAddress): Uint8Array {
  const fd = native.openDatagram(
    address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6,
  );
  try {
    native.beginConnect(fd, encodeSocketAddress(address));
    const source = new Uint8Array(native.addressSize);
    native.readLocalAddress(fd, source);
    return encodeSocketAddress(portedAs(decodeSocketAddress(source), 0));
  } finally {
    native.close(fd);
  }
}

/** The other end of a diverted connection is a socket here, with the target's address as its own. */
function kindOf(
  fd: number,
  address: SocketAddress,
  here: ReadonlySet<string>,
): TrialOutcome["kind"] {
  const state = native.tcpState(fd);
  if (state === "syn-sent") return "lost";
  if (state !== "established") return "refused";
  return here.has(keyOf(address.bytes, address.port)) ? "works" : "not-diverted";
}

function keyOf(address: Uint8Array, port: number): string {
  return `${address.toHex()}:${port}`;
}

/** Errors of connect(2) from routing, which applications get too: ip(7). */
const noRoute = new Set(["ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL", "EADDRNOTAVAIL"]);
/** On lo the answer arrives within connect(2). */
const answerMsMax = 250;
const lookMs = 2;
