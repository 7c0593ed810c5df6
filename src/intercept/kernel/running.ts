/** Whether a proxy serves the diverted connections of this network namespace, and its process: proc(5). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

import type { SocketAddress } from "../../net/address.ts";
import { readListeners } from "./proc-tcp.ts";

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
  const sockets = readListeners().filter((one) => {
    if (one.port !== port) return false;
    // A listener at [::] usually accepts IPv4 too.
    const overlaps = isAny(one.host) || (isAny(bytes) && (family === 6 || one.family === 4));
    return overlaps || isSame(one.host, bytes);
  });
  const [first] = sockets;
  if (first === undefined) return null;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((one) => sockets.some(({ inode }) => hasSocket(one, inode)));
  if (pid === undefined) return { pid: null, program: "" };
  return { pid: Number(pid), program: programOf(pid) };
}

/** "process 123 (nginx)". */
export function describeHolder({ pid, program }: Holder): string {
  return pid === null ? "a process that is not ours to see" : `process ${pid} (${program})`;
}

/** Connections waiting to be accepted on this port, for both families. */
export function queueLength(port: number): number {
  const listeners = readListeners().filter((one) => one.port === port);
  return listeners.reduce((sum, { waiting }) => sum + waiting, 0);
}

function listeningInode(port: number): string | null {
  const found = readListeners().find(
    (one) => one.family === 4 && one.port === port && isSame(one.host, loopback),
  );
  return found?.inode ?? null;
}

function isAny(host: Uint8Array): boolean {
  return host.every((byte) => byte === 0);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
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

/** "" once it has ended. */
function programOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1").trim();
  } catch {
    return "";
  }
}

const loopback = Uint8Array.of(127, 0, 0, 1);
