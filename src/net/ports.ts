/** Which ports the kernel gives to applications, and which it therefore leaves to us. */
import { readFileSync } from "node:fs";

/** Both ends included. */
export type Ports = { readonly first: number; readonly last: number };

/** What connect(2) chooses from in this network namespace, for both families: ip(7), ip_local_port_range. */
export function ephemeralPorts(): Ports {
  return parsePorts(readOrEmpty(`${settings}/ip_local_port_range`));
}

/** Ports below it want CAP_NET_BIND_SERVICE: ip(7), ip_unprivileged_port_start. */
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

/** What others have said that they use: applications by connect(2), and whoever has reserved some for listening. */
export function portsInUse(): readonly Ports[] {
  return [ephemeralPorts(), ...parseReserved(readOrEmpty(`${settings}/ip_local_reserved_ports`))];
}

/** "8080,9148-9150\n". */
export function parseReserved(text: string): readonly Ports[] {
  return Array.from(text.matchAll(/(\d+)(?:-(\d+))?/g), ([, first, last = first]) => ({
    first: Number(first),
    last: Number(last),
  }));
}

/** Ports outside of `taken`, one after the other: each rests as long as possible before it comes again. */
export class Rotation {
  readonly #ranges: readonly Ports[];
  readonly #size: number;
  #next: number;

  /** `start` from 0 to 1: where to begin. Nobody is to know beforehand (RFC 6056), and the last process's ports may live. */
  constructor(within: readonly Ports[], taken: readonly Ports[], start = Math.random()) {
    this.#ranges = taken.reduce(without, within);
    this.#size = this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    this.#next = Math.floor(start * this.#size);
  }

  /** Null if there are none at all. */
  next(): number | null {
    if (this.#size === 0) return null;
    let index = this.#next;
    this.#next = (index + 1) % this.#size;
    for (const { first, last } of this.#ranges) {
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

/** Without /proc the kernel's own defaults are good enough. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

const settings = "/proc/sys/net/ipv4";
const kernelDefault: Ports = { first: 32_768, last: 60_999 };
