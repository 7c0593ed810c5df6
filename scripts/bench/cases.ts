/** The cases, as data: what is done between the two pods, and the unit that its cost is told in. */

export type Work =
  /** One connection; a request each millisecond or so, so that each one meets a machine at rest. */
  | { readonly kind: "paced" }
  /** HTTP requests over connections that stay, one after the other on each. */
  | { readonly kind: "requests"; readonly connections: number }
  /** A new connection for each HTTP request, so many at once. */
  | { readonly kind: "connections"; readonly width: number }
  /** As many bytes as go through; "up" is from pod a to pod b. */
  | { readonly kind: "bulk"; readonly streams: number; readonly direction: "up" | "down" }
  /** 64 bytes there and back, over one connection. */
  | { readonly kind: "ping" }
  /** So many connections that are open and move nothing: silent ones, or stalled by readers that do not read. */
  | { readonly kind: "standing"; readonly count: number; readonly isStalled: boolean }
  /** A client with TLS of its own, one connection after the other. */
  | { readonly kind: "handshakes"; readonly resumed: boolean };

/** How cost and rate of a kind of work are told. */
export type Units = {
  readonly rate: string;
  /** What is counted, times this, is the rate's unit. */
  readonly rateScale: number;
  readonly cpu: string;
  /** CPU seconds of one that is counted, times this, is the unit of `cpu`. */
  readonly cpuScale: number;
};

export type Case = {
  readonly name: string;
  readonly title: string;
  readonly work: Work;
  /** Part of `--quick`. */
  readonly quick: boolean;
};

export const cases: readonly Case[] = [
  make("latency", "latency, 1 connection", { kind: "paced" }, true),
  ...[1, 32, 256].map((connections) =>
    make(
      `keep-alive-${connections}`,
      `keep-alive requests, ${connections}`,
      { kind: "requests", connections },
      connections === 32,
    ),
  ),
  ...[1, 32].map((width) =>
    make(
      `new-${width}`,
      `a new connection per request, ${width}`,
      { kind: "connections", width },
      width === 32,
    ),
  ),
  ...[1, 8, 64].flatMap((streams) =>
    (["up", "down"] as const).map((direction) =>
      make(
        `bulk-${streams}-${direction}`,
        `bulk ${direction === "up" ? "a to b" : "b to a"}, ${streams}`,
        { kind: "bulk", streams, direction },
        streams === 1,
      ),
    ),
  ),
  make("ping-pong", "64 B ping-pong", { kind: "ping" }, true),
  ...[1000, 5000].map((count) =>
    make(
      `idle-${count}`,
      `idle connections, ${count}`,
      { kind: "standing", count, isStalled: false },
      count === 1000,
    ),
  ),
  make(
    "stalled-64",
    "stalled streams, 64",
    { kind: "standing", count: 64, isStalled: true },
    false,
  ),
  make("handshake-full", "full handshakes", { kind: "handshakes", resumed: false }, true),
  make("handshake-resumed", "resumed handshakes", { kind: "handshakes", resumed: true }, true),
];

export function unitsOf({ kind }: Work): Units {
  switch (kind) {
    case "paced":
    case "requests":
      return { rate: "requests/s", rateScale: 1, cpu: "µs per request", cpuScale: 1e6 };
    case "connections":
      return { rate: "connections/s", rateScale: 1, cpu: "µs per connection", cpuScale: 1e6 };
    case "bulk":
      return { rate: "Gbit/s", rateScale: 8e-9, cpu: "s per GB", cpuScale: 1e9 };
    case "ping":
      return { rate: "round trips/s", rateScale: 1, cpu: "µs per round trip", cpuScale: 1e6 };
    case "standing":
      return { rate: "connections/s", rateScale: 1, cpu: "µs per connection", cpuScale: 1e6 };
    case "handshakes":
      return { rate: "connections/s", rateScale: 1, cpu: "µs per handshake", cpuScale: 1e6 };
  }
}

function make(name: string, title: string, work: Work, quick: boolean): Case {
  return { name, title, work, quick };
}
