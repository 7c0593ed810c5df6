/**
 * The TCP sockets of this network namespace: the one reader of /proc/net/tcp and tcp6, proc(5).
 *
 * A host may have 100,000 connections. The kernel sorts nothing, so both listings are read whole, and the state is a part
 * of each pattern: only a line of the wanted state becomes an object. Nothing is kept between two calls.
 */
import { readFileSync } from "node:fs";

import { checkFile, errnoName, SystemCallError } from "../../native/errno.ts";
import type { Family } from "../../net/address.ts";

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

export type ListeningSocket = {
  readonly family: Family;
  /** In network order: 4 bytes also for an IPv6 socket at an IPv4-mapped address. */
  readonly host: Uint8Array;
  readonly port: number;
  /** Connections that wait to be accepted: rx_queue. */
  readonly waiting: number;
  /** The socket's inode, which identifies its process. */
  readonly inode: string;
};

/** All connected sockets. */
export function readConnections(): readonly Tuple[] {
  return families.flatMap((family) => parseConnections(readListing(family)));
}

export function readListeners(): readonly ListeningSocket[] {
  return families.flatMap((family) => parseListeners(readListing(family), family));
}

/** The listening ports, at any address. */
export function listeningPorts(): ReadonlySet<number> {
  return new Set(readListeners().map(({ port }) => port));
}

/** Every connected socket in the listing; IPv4-mapped addresses become IPv4. Ignores malformed lines. */
export function parseConnections(text: string): readonly Tuple[] {
  return Array.from(text.matchAll(connected), (fields) => {
    const [, source = "", sourcePort = "", destination = "", destinationPort = ""] = fields;
    const [state, , uid = "", inode = ""] = fields.slice(5);
    return {
      inode,
      uid: Number(uid),
      isOpening: state === synSent,
      source: addressOf(source),
      sourcePort: Number.parseInt(sourcePort, 16),
      destination: addressOf(destination),
      destinationPort: Number.parseInt(destinationPort, 16),
    };
  });
}

/** Every listening socket in the listing of this family. Ignores malformed lines. */
export function parseListeners(text: string, family: Family): readonly ListeningSocket[] {
  return Array.from(text.matchAll(listening), (fields) => {
    const [, host = "", port = "", , , , waiting = "", , inode = ""] = fields;
    return {
      family,
      host: addressOf(host),
      port: Number.parseInt(port, 16),
      waiting: Number.parseInt(waiting, 16),
      inode,
    };
  });
}

/** The listing prints words of four bytes in host order. */
function addressOf(hex: string): Uint8Array {
  const bytes = Uint8Array.fromHex(hex);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  const isMapped =
    bytes.length === 16 && bytes.subarray(0, 12).every((byte, at) => byte === (at < 10 ? 0 : 255));
  return isMapped ? bytes.slice(12) : bytes;
}

/** A kernel without IPv6 has no tcp6. Throws SystemCallError. */
function readListing(family: Family): string {
  const path = `/proc/self/net/tcp${family === 4 ? "" : "6"}`;
  try {
    return checkFile(`read ${path}`, () => readFileSync(path, "latin1"));
  } catch (error) {
    if (error instanceof SystemCallError && errnoName(error.errno) === "ENOENT") return "";
    throw error;
  }
}

/** Lines of this state: both ends, the state, rx_queue, uid, inode. */
function linesOf(state: string): RegExp {
  const end = "((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})";
  const queues = "[0-9A-F]+:([0-9A-F]+)";
  return new RegExp(
    `^ *\\d+: ${end} ${end} (${state}) ${queues} +\\S+ +\\S+ +(\\d+) +\\d+ +(\\d+)`,
    "gm",
  );
}

const families = [4, 6] as const;
/** tcp_states.h. */
const synSent = "02";
const listening = linesOf("0A");
/** All states but LISTEN and TIME-WAIT (06), in which neither end sends data any more. */
const connected = linesOf("(?!0A|06)[0-9A-F]{2}");
