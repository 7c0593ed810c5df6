/** Which ports the kernel gives to applications, and which it therefore leaves to us. */
import { readFileSync } from "node:fs";

/** Both ends included. */
export type Ports = { readonly first: number; readonly last: number };

/** What connect(2) chooses from in this network namespace, for both families: ip(7), ip_local_port_range. */
export function ephemeralPorts(): Ports {
  try {
    return parsePorts(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1"));
  } catch {
    return kernelDefault; // Without /proc.
  }
}

/** "32768\t60999\n". */
export function parsePorts(text: string): Ports {
  const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number);
  return first > 0 && last >= first ? { first, last } : kernelDefault;
}

export function includesPort({ first, last }: Ports, port: number): boolean {
  return first <= port && port <= last;
}

/** Ports outside of `taken`, one after the other: each rests as long as possible before it comes again. */
export class Rotation {
  readonly #ranges: readonly Ports[];
  readonly #size: number;
  #next = 0;

  constructor(within: readonly Ports[], taken: Ports) {
    this.#ranges = within
      .flatMap(({ first, last }) => [
        { first, last: Math.min(last, taken.first - 1) },
        { first: Math.max(first, taken.last + 1), last },
      ])
      .filter(({ first, last }) => first <= last);
    this.#size = this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
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

const kernelDefault: Ports = { first: 32_768, last: 60_999 };
