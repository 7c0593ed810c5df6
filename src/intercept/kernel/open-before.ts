/** What the sockets here tell about the rules' sets: preexisting connections, served ports, and clients. */
import { networkInterfaces } from "node:os";

import { parseHost, type Family } from "../../net/address.ts";
import { be16 } from "../../netlink/wire.ts";
import type { Connections } from "./encode.ts";
import { answeringPorts, dialled, openBefore, seenClients, servedPorts } from "../rules/sets.ts";
import { readConnections, readListeners, type Tuple } from "./proc-tcp.ts";

type Ends = Omit<Tuple, "inode" | "uid" | "isOpening">;

/** Elements for the sets of preexisting connections. */
export function openConnections(remote: readonly Tuple[]): Connections {
  return new Map(
    ([4, 6] as const).map((family) => [
      openBefore[family],
      remote.filter(({ source }) => source.length === (family === 4 ? 4 : 16)).map(elementOf),
    ]),
  );
}

/**
 * The sockets of preexisting connections, by which they are known if another process deletes the table. A socket that
 * was about to connect is not one of them: its next SYN is diverted.
 */
export class PreexistingSockets {
  readonly #inodes = new Map<string, string>();

  /** `all`: the sockets now; the preexisting ones among them are remembered. */
  constructor(connections: Connections, all: readonly Tuple[]) {
    const known = preexistingKeys(connections);
    for (const one of all)
      if (!one.isOpening && one.inode !== "0" && known.has(keyOf(one)))
        this.#inodes.set(keyOf(one), one.inode);
  }

  forget(tuples: readonly Tuple[]): void {
    for (const one of tuples) this.#inodes.delete(keyOf(one));
  }

  /** Elements for those that still exist. */
  elements(): Connections {
    if (this.#inodes.size === 0) return new Map();
    return openConnections(
      readSockets().filter((one) => this.#inodes.get(keyOf(one)) === one.inode),
    );
  }
}

/** Elements for the sets of answering and served ports: those with a listener that can be reached from outside. */
export function readPorts(): Connections {
  const listening = portKeys(reachablePorts());
  return new Map([
    [answeringPorts, listening],
    [servedPorts, listening],
  ]);
}

/**
 * Elements for the sets of served ports and of clients that applications see: also by connections between a foreign
 * address and one of ours whose ends are both here. The proxy has made them in a client's name.
 */
export function readServed(): Connections {
  const seen = readSeen();
  const of = (family: Family): readonly (readonly Uint8Array[])[] =>
    distinct(
      seen
        .filter(({ source }) => source.length === (family === 4 ? 4 : 16))
        .map(({ source, destinationPort }) => [source, be16(destinationPort)]),
    );
  const ports = [...reachablePorts(), ...seen.map(({ destinationPort }) => destinationPort)];
  return new Map([
    [servedPorts, portKeys(new Set(ports))],
    [seenClients[4], of(4)],
    [seenClients[6], of(6)],
  ]);
}

function reachablePorts(): ReadonlySet<number> {
  const reachable = readListeners().filter(({ host }) => !isLoopback(host));
  return new Set(reachable.map(({ port }) => port));
}

/** The proxy's ends of such connections. */
function readSeen(): readonly Tuple[] {
  const tuples = readConnections();
  const known = new Set(tuples.map((tuple) => keyOf(tuple)));
  const here = ownAddresses();
  const isHere = (address: Uint8Array): boolean => here.has(address.toHex()) || isLoopback(address);
  return tuples.filter(
    (tuple) =>
      !isHere(tuple.source) && isHere(tuple.destination) && known.has(keyOf(reversed(tuple))),
  );
}

function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flat();
  return new Set(
    all.flatMap((one) => (one === undefined ? [] : [parseHost(withoutZone(one.address)).toHex()])),
  );
}

function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address.every((byte, at) => byte === (at === 15 ? 1 : 0));
}

/** "fe80::1%eth0" */
function withoutZone(address: string): string {
  return address.replace(/%.*/, "");
}

function distinct(keys: readonly (readonly Uint8Array[])[]): readonly (readonly Uint8Array[])[] {
  return [...new Map(keys.map((key) => [keyOfFields(key), key])).values()];
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
function keysOf(connections: Connections): ReadonlySet<string> {
  return new Set([...connections.values()].flat().map(keyOfFields));
}

/** `keyOf` for the preexisting connections among these. */
export function preexistingKeys(connections: Connections): ReadonlySet<string> {
  return keysOf(those(connections, openBefore));
}

/** `keyOf` for connections that began here, at a port with a listener. */
export function dialledKeys(connections: Connections): ReadonlySet<string> {
  return keysOf(those(connections, dialled));
}

function those(connections: Connections, sets: Readonly<Record<Family, string>>): Connections {
  const names: readonly string[] = Object.values(sets);
  return new Map([...connections].filter(([set]) => names.includes(set)));
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
