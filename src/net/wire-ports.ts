/**
 * Source ports of connections to peers: no application here gets one of them, so that the peer's application can see
 * the client application's own port (original-source/candidates.ts). If applications may use all ports, some are
 * reserved: connect(2) and bind(2) never return a port that a socket is bound to.
 */
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, parseSocketAddress, portedAs } from "./address.ts";
import { markReserved } from "./origin.ts";
import {
  ephemeralPorts,
  includesPort,
  portsInUse,
  reservedPorts,
  Rotation,
  type Ports,
} from "./ports.ts";

export type WirePlan = {
  /** Ports that applications never get. */
  readonly free: readonly Ports[];
  /** Ports to reserve. */
  readonly reserve: Ports | null;
};

export type WirePorts = {
  readonly rotation: Rotation;
  /** How many sockets reserve ports. */
  readonly reserved: number;
  readonly close: () => void;
};

/** For clients whose port is not preserved: outside all ranges of their proxies. */
export const sparePorts: Ports = { first: 25_000, last: 32_767 };

/** `wanted`: from `--wire-ports`, null without it. */
export function planWirePorts(wanted: Ports | null, settings: Settings = readSettings()): WirePlan {
  const { applications, reserved } = settings;
  // Ports reserved by the operator are left alone, unless the operator has configured them.
  const within = wanted === null ? usual : [wanted];
  const taken = wanted === null ? [applications, ...reserved] : [applications];
  const free = new Rotation(within, taken);
  if (wanted !== null) {
    const isReserved = reserved.some(
      ({ first, last }) => first <= wanted.first && wanted.last <= last,
    );
    const needed = !isReserved && overlap(wanted, applications);
    return { free: needed ? free.ranges : [wanted], reserve: needed ? wanted : null };
  }
  return { free: free.ranges, reserve: free.size < freeMin ? reservable : null };
}

/** `reservedMax`: the most sockets that it may use. */
export function openWirePorts({ free, reserve }: WirePlan, reservedMax: number): WirePorts {
  const sockets = reserve === null ? [] : reservePorts(reserve, reservedMax);
  const release = markReserved(sockets.map(({ port }) => port));
  const ranges = [...free, ...sockets.map(({ port }) => ({ first: port, last: port }))];
  return {
    rotation: new Rotation(ranges, []),
    reserved: sockets.length,
    close: () => {
      release();
      for (const { fd } of sockets) native.close(fd);
    },
  };
}

/** For the log, and for `check`. */
export function reservedText(count: number): string {
  return (
    `applications are given nearly all ports (net.ipv4.ip_local_port_range): ${count} are reserved for connections ` +
    "to peers (--wire-ports)"
  );
}

export const noWirePorts =
  "no port is left for connections to peers: applications there see clients by other ports, or 169.254.77.1 as their " +
  "own address. Give a range of free ports by --wire-ports, or narrow net.ipv4.ip_local_port_range";

type Settings = {
  /** The range that connect(2) uses for applications. */
  readonly applications: Ports;
  readonly reserved: readonly Ports[];
};

function readSettings(): Settings {
  return { applications: ephemeralPorts(), reserved: reservedPorts() };
}

/** For clients whose own port is not preserved. If applications may use all ports, there are none. */
export function openSparePorts(): Rotation {
  const apart = new Rotation([sparePorts], portsInUse());
  return apart.size > 0 ? apart : new Rotation([sparePorts], reservedPorts());
}

type ReservedPort = { readonly port: number; readonly fd: number };

/** Skips ports that others hold. */
function reservePorts({ first, last }: Ports, countMax: number): readonly ReservedPort[] {
  const sockets: ReservedPort[] = [];
  const applications = ephemeralPorts();
  for (let port = first; port <= last && sockets.length < countMax; port += 1) {
    if (!includesPort(applications, port)) continue;
    const fd = bound(port);
    if (fd !== null) sockets.push({ port, fd });
  }
  return sockets;
}

/** A socket for both families if both exist, neither listening nor connected; null if the port is taken. */
function bound(port: number): number | null {
  for (const any of [anyIpv6, anyIpv4]) {
    try {
      return boundTo(portedAs(any, port));
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (errnoName(error.errno) === "EAFNOSUPPORT") continue;
      return null;
    }
  }
  return null;
}

/** With SO_REUSEADDR it hinders no other socket with that option that chooses this port deliberately. */
function boundTo(address: typeof anyIpv4): number {
  const fd = native.openStream(
    address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6,
  );
  try {
    native.setReuseAddress(fd);
    if (address.family === 6) native.setIpv6Only(fd, false);
    native.bind(fd, encodeSocketAddress(address));
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

function overlap(one: Ports, other: Ports): boolean {
  return one.first <= other.last && other.first <= one.last;
}

const anyIpv4 = parseSocketAddress("0.0.0.0:0");
const anyIpv6 = parseSocketAddress("[::]:0");
/** Servers usually listen on lower ports. */
const usual: readonly Ports[] = [
  { first: 10_240, last: sparePorts.first - 1 },
  { first: sparePorts.last + 1, last: 65_535 },
];
/** With fewer than these, some are reserved in addition; each costs a descriptor and 4 KiB of kernel memory. */
const freeMin = 1024;
const reservable: Ports = { first: 22_976, last: 23_999 };
