/** The messages between the proxy and the repair process: ffi/src/repair_channel.zig is the other side. Pure. */
import { ProxyError } from "../../runtime/errors.ts";
import { concat, u32 } from "../../netlink/wire.ts";
import type { Connections } from "../kernel/encode.ts";
import { dialled, openBefore } from "../rules/sets.ts";

/** The version of the frames: ffi/src/repair.zig. */
export const protocolVersion = 4;

export type Command =
  | { readonly kind: "load"; readonly part: number; readonly bytes: Uint8Array }
  /** From now on the loaded parts are the rules. */
  | { readonly kind: "seal" }
  /** The part that becomes the table. */
  | { readonly kind: "use"; readonly part: number }
  /** struct inet_diag_req_v2 of a socket to destroy. */
  | { readonly kind: "destroy"; readonly body: Uint8Array }
  /** Prepares other rules: a separate process reads them from the files, without any input from this one. */
  | { readonly kind: "prepare"; readonly number: number }
  /** Makes the prepared rules the current ones. */
  | { readonly kind: "adopt" };

export type RepairReport =
  /** `tablePort`: its netlink port, which the kernel's notices of its writes carry. */
  | { readonly kind: "ready"; readonly version: number; readonly tablePort: number }
  | {
      readonly kind: "restored";
      /** The number of repairs so far. */
      readonly repairs: number;
      /** Whether the table was written, and not only rules, routes and addresses. */
      readonly table: boolean;
      /** From the kernel's notice until the rules were in place. */
      readonly microseconds: number;
      /** Connections that the rules still leave in cleartext. */
      readonly kept: Connections;
    }
  | { readonly kind: "failed"; readonly errno: number }
  /** Answers the last command except `load`; `errno` 0 means success. */
  | { readonly kind: "done"; readonly errno: number; readonly kept: Connections }
  | { readonly kind: "destroyed"; readonly errno: number }
  | Prepared;

export type Prepared = {
  readonly kind: "prepared";
  /** The number of the request. */
  readonly number: number;
  readonly outcome: PreparedOutcome;
  /** A digest of the input of the rules that were read: parts.ts. */
  readonly digest: string;
  /** For "not read", the stderr of the process that reads the rules, or how it ended; else "". */
  readonly reason: string;
};

/** ffi/src/repair_next.zig. */
const outcomes = ["good", "no launcher", "busy", "not read", "not ours"] as const;
export type PreparedOutcome = (typeof outcomes)[number];

export function encodeCommand(command: Command): Uint8Array {
  switch (command.kind) {
    case "load":
      return frame(1, command.part, command.bytes);
    case "seal":
      return frame(2, 0, nothing);
    case "use":
      return frame(3, command.part, nothing);
    case "destroy":
      return frame(4, 0, command.body);
    case "prepare":
      return frame(5, command.number, nothing);
    case "adopt":
      return frame(6, 0, nothing);
  }
}

function frame(kind: number, argument: number, body: Uint8Array): Uint8Array {
  return concat(u32(kind), u32(argument), u32(body.length), body);
}

/** Splits a stream of bytes into reports. */
export class ReportReader {
  #rest: Uint8Array = nothing;

  /** The reports now complete. Throws NETLINK_INVALID for an invalid report. */
  read(bytes: Uint8Array): readonly RepairReport[] {
    this.#rest = this.#rest.length === 0 ? bytes.slice() : concat(this.#rest, bytes);
    const reports: RepairReport[] = [];
    while (this.#rest.length >= headerSize) {
      const [kind, argument, length] = numbers(this.#rest, 3);
      if (length > bodyBytesMax) throw unknown();
      if (this.#rest.length < headerSize + length) break;
      reports.push(reportOf(kind, argument, this.#rest.subarray(headerSize, headerSize + length)));
      this.#rest = this.#rest.slice(headerSize + length);
    }
    return reports;
  }
}

function reportOf(kind: number, argument: number, body: Uint8Array): RepairReport {
  switch (kind) {
    case 1:
      return { kind: "ready", version: argument, tablePort: numbers(body, 1)[0] };
    case 2: {
      const [table, microseconds] = numbers(body, 2);
      const kept = keptOf(body.subarray(8));
      return { kind: "restored", repairs: argument, table: table !== 0, microseconds, kept };
    }
    case 3:
      return { kind: "failed", errno: argument };
    case 4:
      return { kind: "done", errno: argument, kept: keptOf(body) };
    case 5:
      return { kind: "destroyed", errno: argument };
    case 6:
      return preparedOf(argument, body);
    default:
      throw unknown();
  }
}

function preparedOf(argument: number, body: Uint8Array): Prepared {
  const outcome = outcomes[argument];
  if (outcome === undefined) throw unknown();
  const digest = Buffer.from(body.subarray(4, 4 + digestSize)).toString("hex");
  const reason = Buffer.from(body.subarray(4 + digestSize)).toString("utf8");
  return { kind: "prepared", number: numbers(body, 1)[0], outcome, digest, reason };
}

/** What the launcher collects and passes to the repair process: parts, and the digest of their input. */
export function launchedBytes(parts: readonly Command[], digest: string): Uint8Array {
  return concat(...parts.map(encodeCommand), frame(7, 0, Buffer.from(digest, "hex")));
}

/** A count for each set, then their keys in the kernel's format. */
function keptOf(body: Uint8Array): Connections {
  const kept = new Map<string, readonly (readonly Uint8Array[])[]>();
  let at = 4 * keptSets.length;
  for (const [index, [set, size]] of keptSets.entries()) {
    const [count] = numbers(body.subarray(4 * index), 1);
    const end = at + count * size;
    if (body.length < end) throw unknown();
    kept.set(set, keysOf(body.subarray(at, end), size));
    at = end;
  }
  if (body.length !== at) throw unknown();
  return kept;
}

function keysOf(bytes: Uint8Array, size: number): readonly (readonly Uint8Array[])[] {
  return Array.from({ length: bytes.length / size }, (_, at) => [
    bytes.slice(at * size, (at + 1) * size),
  ]);
}

function numbers(bytes: Uint8Array, count: 1): [number];
function numbers(bytes: Uint8Array, count: 2): [number, number];
function numbers(bytes: Uint8Array, count: 3): [number, number, number];
function numbers(bytes: Uint8Array, count: number): number[] {
  if (bytes.length < 4 * count) throw unknown();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, at) => view.getUint32(4 * at, true));
}

function unknown(): ProxyError {
  return new ProxyError("NETLINK_INVALID", "the repair process sent an impossible message");
}

const nothing = new Uint8Array();
const headerSize = 12;
const digestSize = 32;
/** Sets of connections, and the size of a key: addresses and ports of both ends, each aligned to four bytes. */
const keptSets = [
  [openBefore[4], 16],
  [openBefore[6], 40],
  [dialled[4], 16],
  [dialled[6], 40],
] as const;
const bodyBytesMax = 1 << 24;
