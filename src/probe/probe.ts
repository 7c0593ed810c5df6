/** The probes that the kubelet may make, and from where: parsed once. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import type { SocketAddress } from "../net/address.ts";
import { addressOf, type Cidr } from "../net/cidr.ts";
import { quote } from "../runtime/log/escape.ts";

export const probeKinds = ["http", "tcp", "grpc"] as const;
export type ProbeKind = (typeof probeKinds)[number];

/** One probe as declared by the operator; `text` is its original spelling. */
export type Probe = { readonly port: number; readonly text: string } & (
  | { readonly kind: "tcp" }
  /** The path in the request, without its query. */
  | { readonly kind: "http"; readonly path: string }
  /** "" means the server as a whole. */
  | { readonly kind: "grpc"; readonly service: string }
);

/**
 * bypass: the kernel exempts the ports, for the sources only. inspect: it exempts connections without data, and the
 * proxy reads requests.
 */
export type ProbeMode = "bypass" | "inspect";

export type Probes = {
  readonly mode: ProbeMode;
  readonly declared: readonly Probe[];
  /** Addresses of the node; not empty if there are probes. */
  readonly sources: readonly Cidr[];
};

export const noProbes: Probes = { mode: "bypass", declared: [], sources: [] };

/** Ports by how the kernel treats them; sorted and unique. */
export type ProbePorts = {
  /** Exempt. */
  readonly open: readonly number[];
  /** Diverted to the proxy, which reads the request. */
  readonly read: readonly number[];
  /** Connections pass, data does not. */
  readonly connect: readonly number[];
  /** Both of these: the proxy reads, if the application listens. */
  readonly both: readonly number[];
};

/** Reads "http:8080/healthz", "tcp:5432", "grpc:9000" and "grpc:9000/service". Throws USAGE. */
export function parseProbe(text: string): Probe {
  const [, kind = "", digits = "", rest = ""] = form.exec(text) ?? [];
  if (kind === "https") throw new ProxyError("USAGE", noHttps);
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw invalid(text);
  switch (kind) {
    case "http":
      if (!isPath.test(rest)) throw invalid(text);
      return { kind, port, text, path: rest === "" ? "/" : rest };
    case "grpc":
      if (rest === "/") throw invalid(text);
      return { kind, port, text, service: rest.slice(1) };
    case "tcp":
      if (rest !== "") throw invalid(text);
      return { kind, port, text };
    default:
      throw invalid(text);
  }
}

export function probePorts({ mode, declared }: Probes): ProbePorts {
  const all = unique(declared.map(({ port }) => port));
  if (mode === "bypass") return { open: all, read: [], connect: [], both: [] };
  const has = (port: number, isTcp: boolean): boolean =>
    declared.some((probe) => probe.port === port && (probe.kind === "tcp") === isTcp);
  return {
    open: [],
    read: all.filter((port) => has(port, false) && !has(port, true)),
    connect: all.filter((port) => has(port, true)),
    both: all.filter((port) => has(port, false) && has(port, true)),
  };
}

/** Whether the proxy reads requests. */
export function readsRequests({ mode, declared }: Probes): boolean {
  return mode === "inspect" && declared.some(({ kind }) => kind !== "tcp");
}

/** The probes that this address may make at this port of ours. */
export function probesOf(
  probes: Probes,
  from: Pick<SocketAddress, "bytes" | "family">,
  port: number,
): readonly Probe[] {
  const declared = probes.declared.filter((probe) => probe.port === port);
  return declared.length > 0 && isSource(probes, from) ? declared : [];
}

/** Whether the kernel leaves a connection from there to our port to the application. */
export function isLeftAlone(
  probes: Probes,
  from: Pick<SocketAddress, "bytes" | "family">,
  port: number,
): boolean {
  const { open, connect, both } = probePorts(probes);
  const ports = [...open, ...connect.filter((one) => !both.includes(one))];
  return ports.includes(port) && isSource(probes, from);
}

/** Whether probes are declared from this address. */
export function isSource(
  { sources }: Probes,
  { bytes, family }: Pick<SocketAddress, "bytes" | "family">,
): boolean {
  const address = addressOf(bytes);
  return sources.some(
    (range) => range.family === family && range.first <= address && address <= range.last,
  );
}

function unique(ports: readonly number[]): readonly number[] {
  return [...new Set(ports)].toSorted((a, b) => a - b);
}

function invalid(text: string): ProxyError {
  const wanted = "http:8080/healthz, tcp:5432, grpc:9000 or grpc:9000/service";
  return new ProxyError("USAGE", `${quote(text)}: it must be like ${wanted}`);
}

const form = /^([a-z]+):(\d{1,5})(\/[!-~]{0,500})?$/;
/** A request target without its query: RFC 9112, 3.2.1. */
const isPath = /^(\/[^?#]*)?$/;
const noHttps =
  "https cannot be read by the proxy: declare tcp:PORT (connections without data), or let it pass by --probe-mode bypass";
