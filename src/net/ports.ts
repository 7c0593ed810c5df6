/** The ports that the kernel gives to applications, and the remaining ones for the proxy. */
import { readFileSync } from "node:fs";

import { ProxyError } from "../runtime/errors.ts";

/** Both ends included. */
export type Ports = { readonly first: number; readonly last: number };

/**
 * The range that connect(2) chooses from in this network namespace, for both families: ip(7), ip_local_port_range.
 */
export function ephemeralPorts(): Ports {
  return parsePorts(readOrEmpty(`${settings}/ip_local_port_range`));
}

/** Lower ports need CAP_NET_BIND_SERVICE: ip(7), ip_unprivileged_port_start. */
export function firstUnprivilegedPort(): number {
  const text = readOrEmpty(`${settings}/ip_unprivileged_port_start`).trim();
  return text === "" ? 1024 : Number(text);
}

/** "32768\t60999\n". */
export function parsePorts(text: string): Ports {
  const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number);
  return first > 0 && last >= first ? { first, last } : kernelDefault;
}

export function includesPort({ first, last }: Ports, port: number): boolean {
  return first <= port && port <= last;
}

/** Ports used by others: by applications through connect(2), and those reserved for listening. */
export function portsInUse(): readonly Ports[] {
  return [ephemeralPorts(), ...reservedPorts()];
}

/** Ports that connect(2) does not choose: ip(7), ip_local_reserved_ports. */
export function reservedPorts(): readonly Ports[] {
  return parseReserved(readOrEmpty(`${settings}/ip_local_reserved_ports`));
}

/** "8080,9148-9150\n". */
export function parseReserved(text: string): readonly Ports[] {
  return Array.from(text.matchAll(/(\d+)(?:-(\d+))?/g), ([, first, last = first]) => ({
    first: Number(first),
    last: Number(last),
  }));
}

/** Reads "8080" or "8000-8100"; throws ADDRESS_INVALID. */
export function parsePortRange(text: string): Ports {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1] ?? 0);
  const last = Number(match?.[2] ?? first);
  if (first >= 1 && first <= last && last <= portMax) return { first, last };
  throw new ProxyError(
    "ADDRESS_INVALID",
    `not a port or a range of ports: ${JSON.stringify(text)}`,
  );
}

export function formatPorts({ first, last }: Ports): string {
  return first === last ? String(first) : `${first}-${last}`;
}

export function singlePort(port: number): Ports {
  return { first: port, last: port };
}

export function holdsPort(ranges: readonly Ports[], port: number): boolean {
  return ranges.some((range) => includesPort(range, port));
}

/** The union: sorted, disjoint, adjacent ones joined. */
export function unionOf(ranges: readonly Ports[]): readonly Ports[] {
  const union: { first: number; last: number }[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const previous = union.at(-1);
    if (previous === undefined || first > previous.last + 1) union.push({ first, last });
    else if (last > previous.last) previous.last = last;
  }
  return union;
}

/** The parts of `ranges` that are in none of `others`. */
export function portsOutside(ranges: readonly Ports[], others: readonly Ports[]): readonly Ports[] {
  return others.reduce(without, unionOf(ranges));
}

/** A port, or a range of them, that is in both. */
export function commonPorts(a: readonly Ports[], b: readonly Ports[]): Ports | null {
  for (const one of a)
    for (const other of b) {
      const first = Math.max(one.first, other.first);
      const last = Math.min(one.last, other.last);
      if (first <= last) return { first, last };
    }
  return null;
}

/** Ports outside `taken`, in turn, so that each rests as long as possible before its next use. */
export class Rotation {
  readonly ranges: readonly Ports[];
  /** The number of ports. */
  readonly size: number;
  #next: number;

  /**
   * `start`, from 0 to 1, is the first position: unpredictable (RFC 6056), and because connections of the last
   * process may remain.
   */
  constructor(within: readonly Ports[], taken: readonly Ports[], start = Math.random()) {
    this.ranges = taken.reduce(without, within);
    this.size = this.ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    this.#next = Math.floor(start * this.size);
  }

  /** Null if there are none. */
  next(): number | null {
    if (this.size === 0) return null;
    let index = this.#next;
    this.#next = (index + 1) % this.size;
    for (const { first, last } of this.ranges) {
      if (index <= last - first) return first + index;
      index -= last - first + 1;
    }
    return null;
  }
}

function without(ranges: readonly Ports[], taken: Ports): readonly Ports[] {
  return ranges
    .flatMap(({ first, last }) => [
      { first, last: Math.min(last, taken.first - 1) },
      { first: Math.max(first, taken.last + 1), last },
    ])
    .filter(({ first, last }) => first <= last);
}

/** Without /proc the kernel's defaults are good enough. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

export const portMax = 65_535;
const settings = "/proc/sys/net/ipv4";
const kernelDefault: Ports = { first: 32_768, last: 60_999 };
