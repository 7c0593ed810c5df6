/** Preexisting connections and served ports, as elements of the rules' sets. */
import { be16 } from "../../netlink/wire.ts";
import type { Connections } from "./encode.ts";
import { openBefore, servedPorts } from "../rules/sets.ts";
import { listeningPorts, readConnections, type Tuple } from "./proc-tcp.ts";

type Ends = Omit<Tuple, "inode" | "uid" | "isOpening">;

/** Elements for the sets of preexisting connections. */
export function readOpenConnections(): Connections {
  const remote = readSockets();
  return new Map(
    ([4, 6] as const).map((family) => [
      openBefore[family],
      remote.filter(({ source }) => source.length === (family === 4 ? 4 : 16)).map(elementOf),
    ]),
  );
}

/** Elements for the set of served ports: those with a listener now. */
export function readPorts(): Connections {
  return new Map([[servedPorts, portKeys(listeningPorts())]]);
}

function portKeys(ports: ReadonlySet<number>): readonly (readonly Uint8Array[])[] {
  return Array.from(ports, (port) => [be16(port)]);
}

/**
 * The connected sockets of this network namespace, without those whose other end is here too: their packets pass lo
 * and are never diverted, or were diverted to a proxy.
 */
export function readSockets(): readonly Tuple[] {
  const tuples = readConnections();
  const known = new Set(tuples.map((tuple) => keyOf(tuple)));
  return tuples.filter((tuple) => !known.has(keyOf(reversed(tuple))));
}

export function elementOf(tuple: Ends): readonly Uint8Array[] {
  return [tuple.source, be16(tuple.sourcePort), tuple.destination, be16(tuple.destinationPort)];
}

/** In the kernel's format for sets: fields of a concatenation are aligned to four bytes. */
export function keyOf(tuple: Ends): string {
  return keyOfFields(elementOf(tuple));
}

/** `keyOf` for all elements of these sets. */
export function keysOf(connections: Connections): ReadonlySet<string> {
  return new Set([...connections.values()].flat().map(keyOfFields));
}

/** The kernel's answers have one field with the whole key. */
export function keyOfFields(fields: readonly Uint8Array[]): string {
  return fields.map((field) => field.toHex().padEnd(Math.ceil(field.length / 4) * 8, "0")).join("");
}

function reversed(tuple: Ends): Ends {
  return {
    source: tuple.destination,
    sourcePort: tuple.destinationPort,
    destination: tuple.source,
    destinationPort: tuple.sourcePort,
  };
}
