/** Logs, counts and reports preexisting cleartext connections. */
import { boundInterfaces } from "./reset.ts";
import type { Tuple } from "../kernel/proc-tcp.ts";
import type { Preexisting, RefusedDirection } from "./preexisting.ts";
import { SystemCallError } from "../../native/errno.ts";
import { formatIp } from "../../net/address.ts";
import { findSocket, readInode } from "../../netlink/diag.ts";
import {
  protocol,
  isErrno,
  kernel as ours,
  type Conversation,
  type Kernel,
} from "../../netlink/socket.ts";

/** Logs once how they were treated. `refused` returns each one's direction. */
export function reportPreexisting(
  found: Preexisting,
  refused: RefusedDirection,
  warn: (text: string, count: number) => void,
): void {
  const { left, reset, blocked, refusal } = found;
  const write = (text: string, all: readonly Tuple[]): void => {
    warn(`${counted(all)} from before the start: ${text}: ${listed(all, refused)}`, all.length);
  };
  if (left.length > 0)
    write(
      "left in cleartext until they end (restart their applications, or start the proxy with --preexisting reset)",
      left,
    );
  if (reset.length > 0)
    write("reset, because they were in cleartext (--preexisting leave leaves them)", reset);
  if (blocked.length > 0)
    write(
      `in cleartext, and the kernel does not reset them (${refusal ?? ""}; CONFIG_INET_DIAG_DESTROY). ` +
        "What their applications send is dropped: restart the applications",
      blocked,
    );
}

/** "3 connections". */
export function counted(all: readonly Tuple[]): string {
  return `${all.length} ${all.length === 1 ? "connection" : "connections"}`;
}

/** The first of them, from client to server. */
export function listed(all: readonly Tuple[], refused: RefusedDirection): string {
  const shown = all.slice(0, shownMax).map((one) => {
    const own = placeOf(one.source, one.sourcePort);
    const other = placeOf(one.destination, one.destinationPort);
    return refused(one) === "inbound" ? `${other} > ${own}` : `${own} > ${other}`;
  });
  const more = all.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function placeOf(bytes: Uint8Array, port: number): string {
  return bytes.length === 4 ? `${formatIp(bytes)}:${port}` : `[${formatIp(bytes)}]:${port}`;
}

/** How many of the remaining connections are still open: checks each of them, at limited intervals. */
export class PreexistingWatch {
  #open: readonly Tuple[];
  #looked = -Infinity;
  readonly #kernel: Kernel;
  readonly #now: () => number;

  constructor(
    left: readonly Tuple[],
    kernel: Kernel = ours,
    now: () => number = () => performance.now(),
  ) {
    this.#open = left;
    this.#kernel = kernel;
    this.#now = now;
  }

  get count(): number {
    if (this.#open.length > 0 && this.#now() >= this.#looked + lookMsMin) this.#look();
    return this.#open.length;
  }

  /** For /readyz; null if none is open. */
  get note(): string | null {
    const { count } = this;
    if (count === 0) return null;
    const what =
      count === 1 ? "connection from before the start is" : "connections from before the start are";
    return `${count} ${what} still in cleartext: see the log (--preexisting)`;
  }

  /** Checks a few at a time. If the kernel does not answer, the count stays. */
  #look(): void {
    this.#looked = this.#now();
    const interfaces = [0, ...boundInterfaces(this.#kernel)];
    const before = this.#open;
    try {
      using socket = this.#kernel(protocol.diag);
      const looked = before
        .slice(0, looksMax)
        .filter((one) => interfaces.some((of) => isOpen(socket, one, of)));
      this.#open = [...before.slice(looksMax), ...looked];
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
    }
  }
}

/**
 * Another socket may have the same addresses by now. One that no process had accepted at the start has got its inode
 * since.
 */
function isOpen(socket: Conversation, tuple: Tuple, boundTo: number): boolean {
  try {
    const [answer] = socket.exchange([findSocket(tuple, boundTo)]);
    if (answer === undefined) return false;
    return tuple.inode === "0" || readInode(answer.payload) === Number(tuple.inode);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

const shownMax = 8;
const lookMsMin = 5000;
/** Each is a system call of some microseconds. */
const looksMax = 512;
