/** The proxy's side of the link to the repair process: commands that are answered at once, and reports in between. */
import type { Socket } from "bun";

import type { Interception } from "../rules/interception.ts";
import { Deadline } from "../../runtime/deadline.ts";
import { ProxyError } from "../../runtime/errors.ts";
import { SystemCallError } from "../../native/errno.ts";
import * as native from "../../native/repair-process.ts";
import { kernel, type Conversation, type Kernel } from "../../netlink/socket.ts";
import { concat } from "../../netlink/wire.ts";
import {
  encodeCommand,
  protocolVersion,
  ReportReader,
  type Command,
  type Prepared,
  type RepairReport,
} from "./frames.ts";
import { part, partsOf, type Found, type TableState } from "./parts.ts";
import type { Connections } from "../kernel/encode.ts";

/** What the privileged process passes to the one that it becomes by execve. */
export type HandedRepair = native.RepairProcess & { readonly tablePort: number };

type Answer = RepairReport & { readonly kind: "done" | "destroyed" };
type Restored = RepairReport & { readonly kind: "restored" };

export type RepairEvents = {
  /** Another process had changed the rules, and they are restored. */
  readonly restored: (how: Restored) => void;
  /** They cannot be written; it is tried again. */
  readonly failed: (errno: number) => void;
  /** The launcher, which has the rules read again, has ended. */
  readonly launcherGone: () => void;
  /** The repair process has ended. */
  readonly gone: () => void;
};

/**
 * Passes the rules to the repair process once and for all, right after they were installed. Throws START_FAILED if
 * the repair process cannot write them.
 */
export function entrustRules(
  process: native.RepairProcess,
  interception: Interception,
  found: Found,
): HandedRepair {
  const conversation = new Exchange(process.fd);
  try {
    const ready = conversation.next((report) => report.kind === "ready");
    if (ready.kind !== "ready" || ready.version !== protocolVersion)
      throw new ProxyError("ABI_MISMATCH", "the repair process is of another version");
    for (const command of partsOf(interception, found)) conversation.write(command);
    conversation.write({ kind: "seal" });
    const done = conversation.next((report) => report.kind === "done");
    if (done.kind === "done" && done.errno !== 0)
      throw new SystemCallError("write the rules", done.errno);
    return { ...process, tablePort: ready.tablePort };
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code === "START_FAILED") throw error;
    const text = `--privileges dropped: the repair process does not work: ${error.message}. Use --privileges kept`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

export class RepairLink {
  readonly tablePort: number;
  readonly #exchange: Exchange;
  readonly #fd: number;
  #events: RepairEvents | null = null;
  #socket: Socket<null> | null = null;
  #stopped = false;
  #alive = true;
  #number = 0;
  #launcherGone = false;
  #preparing: ((prepared: Prepared | null) => void) | null = null;

  constructor({ fd, tablePort }: HandedRepair) {
    this.tablePort = tablePort;
    this.#fd = fd;
    this.#exchange = new Exchange(fd);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Switches the table to this state; returns the preexisting connections. Throws SystemCallError. */
  use(state: TableState): Connections {
    const done = this.#ask({ kind: "use", part: part[state] }, "write the rules");
    return done.kind === "done" ? done.kept : new Map<string, never>();
  }

  /**
   * Has the rules read from the files by a separate process. Null if that takes too long, or the repair process is
   * gone. One at a time. Throws SystemCallError.
   */
  async prepare(): Promise<Prepared | null> {
    if (!this.#alive) return null;
    this.#number += 1;
    const number = this.#number;
    const { promise, resolve } = Promise.withResolvers<Prepared | null>();
    this.#preparing = (prepared) => {
      if (prepared === null || prepared.number === number) resolve(prepared);
    };
    const deadline = new Deadline(prepareMsMax, () => {
      resolve(null);
    });
    try {
      this.#exchange.write({ kind: "prepare", number });
      return await promise;
    } finally {
      deadline.clear();
      this.#preparing = null;
    }
  }

  /** Makes the prepared rules current; otherwise like `use`. Throws SystemCallError; then they are unchanged. */
  adopt(): Connections {
    const done = this.#ask({ kind: "adopt" }, "write the rules");
    return done.kind === "done" ? done.kept : new Map<string, never>();
  }

  /**
   * Conversations about sockets: any process may list them, the repair process destroys them. Each request is
   * answered, or throws.
   */
  readonly sockets: Kernel = (of): Conversation => ({
    send: (requests) => {
      for (const { body, about } of requests)
        this.#ask({ kind: "destroy", body: concat(...body) }, about);
    },
    exchange: (requests) => {
      using own = kernel(of);
      return own.exchange(requests);
    },
    [Symbol.dispose]: () => undefined,
  });

  /** Ends the repair process. */
  readonly stop = (): void => {
    this.#stopped = true;
    this.#socket?.terminate();
  };

  #ask(command: Command, about: string): Answer {
    if (!this.#alive) throw new SystemCallError(about, errnoOfGone);
    const answer = this.#converse(command);
    if (answer.errno !== 0) throw new SystemCallError(about, answer.errno);
    return answer;
  }

  /** A late answer would be taken for the next one: then the link counts as lost. */
  #converse(command: Command): Answer {
    const others: RepairReport[] = [];
    try {
      this.#exchange.write(command);
      for (;;) {
        const answer = this.#exchange.next(isAnswer, others);
        if (isAnswer(answer)) return answer;
      }
    } catch (error) {
      this.#socket?.terminate();
      throw error;
    } finally {
      this.#later(others);
    }
  }

  /** Not within the caller, nor where Bun would treat an exception as an error of the socket. */
  #later(reports: readonly RepairReport[]): void {
    if (reports.length === 0) return;
    queueMicrotask(() => {
      for (const report of reports) this.#dispatch(report);
    });
  }

  #dispatch(report: RepairReport): void {
    if (this.#stopped) return;
    if (report.kind === "restored") this.#events?.restored(report);
    if (report.kind === "prepared") this.#takePrepared(report);
    if (report.kind === "failed") this.#events?.failed(report.errno);
  }

  #takePrepared(report: Prepared): void {
    this.#preparing?.(report);
    if (report.outcome !== "no launcher") return;
    this.#reap(0);
    if (!this.#launcherGone) this.#events?.launcherGone();
    this.#launcherGone = true;
  }

  /** Reads the reports of the process from now on; `events` are never called before this returns. Call it once. */
  listen(events: RepairEvents): void {
    this.#events = events;
    const socket = {
      binaryType: "uint8array" as const,
      open: (opened: Socket<null>) => {
        this.#socket = opened;
      },
      data: (_: Socket<null>, chunk: Uint8Array) => {
        this.#later(this.#exchange.reader.read(chunk));
      },
      close: () => {
        this.#ended();
      },
      error: () => undefined,
    };
    void Bun.connect<null>({ fd: this.#fd, data: null, socket }).catch(() => {
      this.#ended();
    });
  }

  #ended(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#socket = null;
    this.#preparing?.(null);
    this.#reap(0);
    if (!this.#stopped) this.#events?.gone();
  }

  /** As process 1 of a container: without this the dead repair process stays a zombie. */
  #reap(attempt: number): void {
    if (native.reapAll() || attempt === reapsMax) return;
    void new Deadline(reapMs, () => {
      this.#reap(attempt + 1);
    });
  }
}

/** One side of the conversation, without an event loop. */
class Exchange {
  readonly reader = new ReportReader();
  readonly #fd: number;
  readonly #buffer = new Uint8Array(receiveBytesMax);
  #heard: RepairReport[] = [];

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(command: Command): void {
    native.writeAll(this.#fd, encodeCommand(command), answerMsMax);
  }

  /** The next report that fits; earlier ones go to `others`. Throws SystemCallError, NETLINK_INVALID. */
  next(fits: (report: RepairReport) => boolean, others: RepairReport[] = []): RepairReport {
    for (;;) {
      const report = this.#heard.shift();
      if (report === undefined) this.#read();
      else if (fits(report)) return this.#found(report, others);
      else others.push(report);
    }
  }

  #found(report: RepairReport, others: RepairReport[]): RepairReport {
    others.push(...this.#heard);
    this.#heard = [];
    return report;
  }

  #read(): void {
    const length = native.readSome(this.#fd, this.#buffer, answerMsMax);
    if (length === 0) throw new SystemCallError("read", errnoOfGone);
    this.#heard.push(...this.reader.read(this.#buffer.subarray(0, length)));
  }
}

function isAnswer(report: RepairReport): report is Answer {
  return report.kind === "done" || report.kind === "destroyed";
}

/** ESRCH */
const errnoOfGone = 3;
/** How long an answer may take: it may be a batch of tens of thousands of connections on a busy machine. */
const answerMsMax = 5000;
/** More than the launcher's own limit: ffi/src/repair_launcher.zig. */
const prepareMsMax = 25_000;
const receiveBytesMax = 1 << 16;
const reapMs = 100;
const reapsMax = 50;
