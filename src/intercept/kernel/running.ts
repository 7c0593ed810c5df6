/** Whether a proxy serves the diverted connections of this network namespace, and its process: proc(5). */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

import type { SocketAddress } from "../../net/address.ts";

/** True if a process listens on 127.0.0.1 at this port. */
export function isListening(port: number): boolean {
  return listeningInode(port) !== null;
}

export type Process = {
  readonly pid: number;
  /** Whether it handles the signal with this number. */
  readonly catches: (signal: number) => boolean;
};

/** The process that listens on 127.0.0.1 at this port, or null if there is none, or it may not be inspected. */
export function listeningProcess(port: number): Process | null {
  const inode = listeningInode(port);
  if (inode === null) return null;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((one) => hasSocket(one, inode));
  if (pid === undefined) return null;
  return { pid: Number(pid), catches: (signal) => catches(pid, signal) };
}

/** A listener that would conflict with one at this address. */
export type Holder = {
  /** Null: none of its processes may be inspected. */
  readonly pid: number | null;
  /** comm: proc(5). */
  readonly program: string;
};

/**
 * The listener at this port that conflicts with this address: one at the same address or at all addresses, or at any
 * address if this one stands for all. Null if there is none.
 */
export function holderOf({ family, bytes, port }: SocketAddress): Holder | null {
  const isAll = bytes.every((byte) => byte === 0);
  const sockets = listeningSockets().filter((one) => {
    if (one.port !== port) return false;
    // A listener at [::] usually accepts IPv4 too.
    const overlaps = one.isAll || (isAll && (family === 6 || one.family === 4));
    return overlaps || (one.family === family && one.host === hostOf(bytes));
  });
  const [first] = sockets;
  if (first === undefined) return null;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((one) => sockets.some(({ inode }) => hasSocket(one, inode)));
  if (pid === undefined) return { pid: null, program: "" };
  return { pid: Number(pid), program: readOrEmpty(`/proc/${pid}/comm`).trim() };
}

/** "process 123 (nginx)". */
export function describeHolder({ pid, program }: Holder): string {
  return pid === null ? "a process that is not ours to see" : `process ${pid} (${program})`;
}

type ListeningSocket = {
  readonly family: 4 | 6;
  /** In /proc's format. */
  readonly host: string;
  readonly isAll: boolean;
  readonly port: number;
  readonly inode: string;
};

function listeningSockets(): readonly ListeningSocket[] {
  return ([4, 6] as const).flatMap((family) => {
    const text = readOrEmpty(`/proc/self/net/tcp${family === 4 ? "" : "6"}`);
    const found = text.matchAll(
      /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) 0+:0000 0A(?: +\S+){5} +(\d+)/gm,
    );
    return Array.from(found, ([, host = "", port = "", inode = ""]) => {
      return { family, host, isAll: /^0+$/.test(host), port: Number.parseInt(port, 16), inode };
    });
  });
}

/** Words of four bytes in host order. */
function hostOf(bytes: Uint8Array): string {
  const words = bytes.toHex().match(/.{8}/g) ?? [];
  return words
    .map((word) => (word.match(/../g) ?? []).toReversed().join(""))
    .join("")
    .toUpperCase();
}

/** Connections waiting to be accepted on this loopback port, for both families: proc(5), net/tcp, rx_queue. */
export function queueLength(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} 0+:0000 0A [0-9A-F]+:([0-9A-F]+) `, "gm");
  const sockets = ["tcp", "tcp6"].map((name) => readOrEmpty(`/proc/self/net/${name}`)).join("");
  const lengths = Array.from(sockets.matchAll(line), ([, waiting = "0"]) => waiting);
  return lengths.reduce((sum, waiting) => sum + Number.parseInt(waiting, 16), 0);
}

/** A kernel without IPv6 has no tcp6. */
function readOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

function listeningInode(port: number): string | null {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`^ *\\d+: 0100007F:${hex} 00000000:0000 0A(?: +\\S+){5} +(\\d+)`, "m");
  return line.exec(readFileSync("/proc/self/net/tcp", "latin1"))?.[1] ?? null;
}

function hasSocket(pid: string, inode: string): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => linkOf(`${folder}/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false; // It has ended, or belongs to another user.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** SigCgt: bit n - 1 stands for signal n. */
function catches(pid: string, signal: number): boolean {
  const mask = /^SigCgt:\s+([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return ((BigInt(`0x${mask ?? "0"}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
