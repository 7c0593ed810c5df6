/** The cases as data: the work between the two pods, and the unit of its cost. */

export type Work =
  /** One connection with about one request per millisecond, so that each finds the machine idle. */
  | { readonly kind: "paced" }
  /** HTTP requests over persistent connections, one after the other on each. */
  | { readonly kind: "requests"; readonly connections: number }
  /** A new connection for each HTTP request, this many at once. */
  | { readonly kind: "connections"; readonly width: number }
  /** As many bytes as possible; "up" is from pod a to pod b. */
  | { readonly kind: "bulk"; readonly streams: number; readonly direction: "up" | "down" }
  /** 64 bytes there and back, over one connection. */
  | { readonly kind: "ping" }
  /** This many open connections that move no data: silent ones, or stalled by readers that do not read. */
  | { readonly kind: "standing"; readonly count: number; readonly isStalled: boolean }
  /** A client with its own TLS, one connection after the other. */
  | { readonly kind: "handshakes"; readonly resumed: boolean };

/** The units of cost and rate for a kind of work. */
export type Units = {
  readonly rate: string;
  /** Factor from the counted unit to the unit of the rate. */
  readonly rateScale: number;
  readonly cpu: string;
  /** Factor from the CPU seconds of one counted unit to the unit of `cpu`. */
  readonly cpuScale: number;
};

export type Case = {
  readonly name: string;
  readonly title: string;
  readonly work: Work;
  /** Included in `--quick`. */
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
