/** Preexisting connections, from the kernel's own list of sockets: proc(5), net/tcp. */
import { readFileSync } from "node:fs";

import { be16 } from "../../netlink/wire.ts";
import type { Connections } from "./encode.ts";
import { openBefore, servedPorts } from "../rules/sets.ts";

/** One connection as seen in its outgoing packets: addresses in network order. */
export type Tuple = {
  /** The socket's inode, which identifies its process. */
  readonly inode: string;
  /** The user who created the socket. */
  readonly uid: number;
  /** A connect without an answer yet: nothing has been sent, and a repeated SYN falls under the new rules. */
  readonly isOpening: boolean;
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
};

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
  const tuples = connectedSockets();
  const known = new Set(tuples.map((tuple) => keyOf(tuple)));
  return tuples.filter((tuple) => !known.has(keyOf(reversed(tuple))));
}

/** All connected sockets of this network namespace. */
export function connectedSockets(): readonly Tuple[] {
  return ["tcp", "tcp6"].flatMap((name) => parseSockets(readOrEmpty(`/proc/self/net/${name}`)));
}

/** The listening ports of this network namespace, at any address. */
export function listeningPorts(): ReadonlySet<number> {
  const text = ["tcp", "tcp6"].map((name) => readOrEmpty(`/proc/self/net/${name}`)).join("");
  const ports = text.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A /gm);
  return new Set(Array.from(ports, ([, port = ""]) => Number.parseInt(port, 16)));
}

/** Every connected socket in the listing; IPv4-mapped addresses become IPv4. Ignores malformed lines. */
export function parseSockets(text: string): readonly Tuple[] {
  const tuples: Tuple[] = [];
  for (const match of text.matchAll(line)) {
    const [, source = "", sourcePort = "", destination = "", destinationPort = ""] = match;
    const [state, uid = "", inode = ""] = match.slice(5);
    if (state === listening || state === timeWait) continue;
    tuples.push({
      inode,
      uid: Number(uid),
      isOpening: state === synSent,
      source: addressOf(source),
      sourcePort: Number.parseInt(sourcePort, 16),
      destination: addressOf(destination),
      destinationPort: Number.parseInt(destinationPort, 16),
    });
  }
  return tuples;
}

/** The listing prints words of four bytes in host order. */
function addressOf(hex: string): Uint8Array {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  const mapped =
    bytes.length === 16 && bytes.subarray(0, 12).every((byte, at) => byte === (at < 10 ? 0 : 255));
  return mapped ? bytes.slice(12) : bytes;
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

/** A kernel without IPv6 has no tcp6. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

const line =
  /^ *\d+: ((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4}) ((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4}) ([0-9A-F]{2}) (?:\S+ +){2}\S+ +(\d+) +\d+ +(\d+)/gm;
const listening = "0A";
const synSent = "02";
/** Neither end sends data any more. */
const timeWait = "06";
