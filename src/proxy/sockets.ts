/**
 * The proxy's sockets: those for diverted connections, in both directions, for both families; and the status socket.
 */
import type { Config } from "../config.ts";
import { insideMark } from "../intercept/rules/marks.ts";
import { describeHolder, holderOf } from "../intercept/kernel/running.ts";
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from "../net/address.ts";
import { openDiverted, type Takes } from "../net/listener.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import { readsRequests } from "../probe/probe.ts";
import { ProxyError } from "../runtime/errors.ts";
import { shortageOf } from "../runtime/shortage.ts";
import { openStatus } from "../status/server.ts";
import type { HandedState } from "./reexec.ts";

/** Sockets opened here, or passed on to us. */
export type Sockets = Pick<HandedState, "places" | "status">;

/** Opens all of them, or none. Whoever serves a socket closes it. Throws START_FAILED. */
export function openSockets(config: Config, socketOptions: SocketOptions): Sockets {
  using undo = new DisposableStack();
  const places = [...openPlaces(config, socketOptions, undo)];
  const status = namingStatus(config, () => openStatus(config.statusAddress, socketOptions));
  undo.move();
  return { places, status };
}

/**
 * Whether this process may mark sockets: CAP_NET_RAW alone is enough since Linux 5.17 (079925cce1d0), and without marks
 * every connection would fail. Throws START_FAILED.
 */
export function assertMarkable(mark: number): void {
  using stack = new DisposableStack();
  const fd = stack.adopt(native.openStream(native.addressFamily.inet), native.close);
  try {
    native.setMark(fd, mark);
  } catch (error) {
    if (!(error instanceof SystemCallError) || errnoName(error.errno) !== "EPERM") throw error;
    throw new ProxyError("START_FAILED", noMarks, { cause: error });
  }
}

/** Returns them; their descriptors are closed with `undo`. */
export function closedWith<T extends { readonly fd: number }>(
  undo: DisposableStack,
  all: readonly T[],
): readonly T[] {
  for (const { fd } of all) undo.adopt(fd, native.close);
  return all;
}

/** Sockets that nothing serves yet. Disposing of it closes those that were not taken. */
export class UnservedSockets implements Disposable {
  readonly #places: Map<string, number>;
  #status: number | null;

  constructor({ places, status }: Sockets) {
    this.#places = new Map(places);
    this.#status = status;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#places.values()) native.close(fd);
    if (this.#status !== null) native.close(this.#status);
  }

  /** The caller closes it from then on. Undefined for a place without a socket. */
  take(place: string): number | undefined {
    const fd = this.#places.get(place);
    this.#places.delete(place);
    return fd;
  }

  takeStatus(): number {
    const fd = this.#status;
    if (fd === null) throw new ProxyError("START_FAILED", "the status socket was taken already");
    this.#status = null;
    return fd;
  }
}

/** Listening sockets by address: "127.0.0.1:1". */
export type ListeningSockets = ReadonlyMap<string, number>;

/**
 * Opens the sockets for diverted connections, in both directions, for both families. Throws START_FAILED; `undo`
 * closes those already open.
 */
function openPlaces(
  config: Config,
  socketOptions: SocketOptions,
  undo: DisposableStack,
): ListeningSockets {
  const places = new Map<string, number>();
  const { backlogMax } = config.limits;
  const inside = { ...socketOptions, mark: insideMark(config.fixed.mark) };
  for (const spot of spotsOf(config)) {
    const { place, host, kind } = spot;
    const options = { socketOptions: kind === "plain" ? inside : socketOptions, backlogMax };
    const fd = namingSpot(spot, () =>
      unlessNoIpv6(host, () => openDiverted(parseSocketAddress(place), options, kind)),
    );
    if (fd === null) continue;
    undo.defer(() => {
      native.close(fd);
    });
    places.set(place, fd);
  }
  return places;
}

export type Spot = {
  readonly place: string;
  readonly host: string;
  readonly flag: string;
  readonly port: number;
  readonly kind: Takes["kind"];
};

/**
 * Without a policy file no port is ever inspected, except for probes. With one the inspecting socket listens from the
 * start, because a later policy may need it.
 */
export function spotsOf({ fixed, policy }: Config): readonly Spot[] {
  const kinds = [
    { flag: "--tcp-port", port: fixed.tcpPort, kind: "plain" },
    { flag: "--tls-port", port: fixed.tlsPort, kind: "tls" },
    ...(policy.file === null && !readsRequests(fixed.probes)
      ? []
      : [{ flag: "--inspect-port", port: fixed.inspectPort, kind: "undecided" } as const]),
  ] as const;
  return ["127.0.0.1", "[::1]"].flatMap((host) =>
    kinds.map(({ flag, port, kind }) => ({ place: `${host}:${port}`, host, flag, port, kind })),
  );
}

/** Adds the option of a socket for diverted connections, and the remedy, to a failure. Throws START_FAILED. */
export function namingSpot<T>({ place, host, flag, port }: Spot, act: () => T): T {
  return named(`${flag} ${port} on ${host}`, parseSocketAddress(place), act);
}

/** The same for the status socket. */
export function namingStatus<T>({ statusAddress }: Config, act: () => T): T {
  return named(`--status-address ${formatSocketAddress(statusAddress)}`, statusAddress, act);
}

/** Adds the option and the remedy to a failure. */
function named<T>(option: string, address: SocketAddress, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const code = errnoName(error.errno);
    const remedy = remedies.get(code) ?? shortageSentence(code);
    const holder = code === "EADDRINUSE" ? holderOf(address) : null;
    const who = holder === null ? "" : `, because ${describeHolder(holder)} listens there`;
    const text = `cannot listen (${option}): ${code}${who}${remedy === undefined ? "" : `. ${remedy}`}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

function shortageSentence(code: string): string | undefined {
  const text = shortageOf(code);
  return text === undefined ? undefined : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Null if the kernel has no IPv6: then there is nothing to divert. */
function unlessNoIpv6<T>(host: string, act: () => T): T | null {
  try {
    return act();
  } catch (error) {
    const absent = error instanceof SystemCallError && errnoName(error.errno) === "EAFNOSUPPORT";
    if (absent && host === "[::1]") return null;
    throw error;
  }
}

const noMarks =
  "--privileges dropped: on this kernel CAP_NET_RAW alone may not mark sockets (SO_MARK): use Linux 5.17 or later, or " +
  "--privileges kept";
const remedies = new Map<string, string>([
  ["EADDRINUSE", "Choose another port, or end that process (is a proxy running?)."],
  ["EADDRNOTAVAIL", "No interface that is up in this network namespace has this address."],
  [
    "EPERM",
    "CAP_NET_ADMIN is missing (with --rules external: CAP_NET_RAW, on Linux 5.17 or later): run as root, and give a " +
      "container that capability (its other users get none of cap-add).",
  ],
  ["EACCES", "Ports below 1024 require CAP_NET_BIND_SERVICE."],
]);
