/** The status address: liveness, readiness and metrics. Nothing here changes state. */
import type { Socket, SocketHandler, SocketListener } from "bun";

import { Deadline } from "../runtime/deadline.ts";
import { SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { formatIp, isLoopback, type SocketAddress, sourceKey } from "../net/address.ts";
import { notServed, openListening } from "../net/listener.ts";
import { peerAddress } from "../net/original-destination.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import { RequestRates } from "./request-rates.ts";
import { Rendered } from "./rendered.ts";
import { formatAnswer, parseHead, type Answer } from "./request.ts";
import { Table, type TableEntry } from "./table.ts";

export type StatusServer = { readonly stop: () => void };

export type StatusOptions = {
  /** From `openStatus`; owned by the server from then on. */
  readonly fd: number;
  /** The obstacles to readiness: an empty list means ready. */
  readonly readiness: () => readonly string[];
  /** Remarks that do not affect readiness. */
  readonly notes: () => readonly string[];
  readonly metrics: () => Promise<Answer>;
  /** True if probes are declared from this address. */
  readonly isProbeSource: (address: SocketAddress) => boolean;
  /** Too many requests: the one from this source, an address as text, was reset. */
  readonly refused: (source: string) => void;
};

/**
 * With the proxy's mark in the socket options, answers to peers in the mesh are not intercepted. Throws
 * SystemCallError.
 */
export function openStatus(address: SocketAddress, socketOptions: SocketOptions): number {
  return openListening(address, { socketOptions, backlogMax }, false);
}

/**
 * Serves GET /healthz, /readyz and /metrics. Bun's own HTTP server accepts no existing socket and does not limit
 * connections: any client that reaches the port could exhaust the proxy's descriptors.
 */
export function serveStatus(options: StatusOptions): StatusServer {
  const door = new Door(options);
  const listener = listenOn(options.fd, door);
  return {
    stop: () => {
      listener.stop(true);
    },
  };
}

function listenOn(fd: number, door: Door): SocketListener<Connection | null> {
  try {
    return Bun.listen<Connection | null>({ fd, allowHalfOpen: true, socket: handlersOf(door) });
  } catch (error) {
    throw notServed(error);
  }
}

function handlersOf(door: Door): SocketHandler<Connection | null> {
  return {
    open: (socket) => {
      socket.data = door.admit(socket);
    },
    data: (socket, chunk) => {
      socket.data?.read(chunk);
    },
    drain: (socket) => {
      socket.data?.flush();
    },
    close: (socket) => {
      if (socket.data instanceof Connection) door.close(socket.data);
    },
    error: () => undefined,
  };
}

/** Admits connections according to their sources' rates. */
class Door {
  readonly #options: StatusOptions;
  readonly #rates = new RequestRates();
  readonly #table = new Table<Connection>(connectionsMax);
  readonly #metrics: Rendered<Answer>;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#metrics = new Rendered(options.metrics, () => performance.now());
  }

  /** Null if it was reset. */
  admit(socket: StatusSocket): Connection | null {
    const address = addressOf(socket);
    if (address === null) return null;
    const inside = isLoopback(address);
    const isTrusted = inside || this.#options.isProbeSource(address);
    const key = sourceKey(address);
    const waitMs = this.#rates.admit({ key, isTrusted }, performance.now());
    const isPreferred = isTrusted || this.#rates.isRegular(key);
    const connection = new Connection(socket, { source: key, isPreferred, inside });
    const goes = waitMs === null ? connection : this.#table.add(connection);
    if (goes !== null) this.#refuse(goes, address);
    if (goes !== connection) connection.begin(waitMs ?? 0, this.#answer);
    return connection;
  }

  close(connection: Connection): void {
    connection.gone();
    this.#table.delete(connection);
  }

  #refuse(connection: Connection, address: SocketAddress): void {
    this.#table.delete(connection);
    connection.reset();
    this.#options.refused(formatIp(address.bytes));
  }

  readonly #answer = async (head: Head, inside: boolean): Promise<Answer> =>
    await answerOf(head, {
      ...this.#options,
      metrics: async () => await this.#metrics.get(inside),
    });
}

type StatusSocket = Socket<Connection | null>;
type Head = ReturnType<typeof parseHead>;
type Asked = (head: Head, inside: boolean) => Promise<Answer>;

/** One request and its answer. */
class Connection implements TableEntry {
  readonly source: string;
  readonly isPreferred: boolean;
  readonly #inside: boolean;
  readonly #socket: StatusSocket;
  #deadline: Deadline | null = null;
  #asked: Asked | null = null;
  #head = "";
  #chunks = 0;
  #answer: Uint8Array | null = null;

  constructor(socket: StatusSocket, held: TableEntry & { readonly inside: boolean }) {
    this.#socket = socket;
    this.source = held.source;
    this.isPreferred = held.isPreferred;
    this.#inside = held.inside;
  }

  /** A waiting request is not read: the kernel buffers it. */
  begin(waitMs: number, asked: Asked): void {
    this.#asked = asked;
    if (waitMs > 0) this.#socket.pause();
    this.#deadline = new Deadline(waitMs > 0 ? waitMs : requestMsMax, () => {
      if (waitMs > 0) this.#resume();
      else this.reset();
    });
  }

  read(chunk: Uint8Array): void {
    if (this.#asked === null) return;
    this.#chunks += 1;
    this.#head += new TextDecoder("latin1").decode(chunk);
    const request = this.#chunks > chunksMax ? "bad" : parseHead(this.#head);
    if (request === null) return;
    const asked = this.#asked;
    this.#asked = null;
    const method = request === "bad" ? "" : request.method;
    void asked(request, this.#inside)
      .catch(() => text(500, "internal error"))
      .then((answer) => {
        this.#answer = new TextEncoder().encode(formatAnswer(answer, method));
        this.flush();
      });
  }

  flush(): void {
    if (this.#answer === null) return;
    const written = this.#socket.write(this.#answer);
    if (written < 0) return;
    this.#answer = this.#answer.subarray(written);
    if (this.#answer.length === 0) this.#socket.end();
  }

  /** By RST, so that the kernel keeps nothing of it. */
  reset(): void {
    this.#asked = null;
    this.gone();
    if (this.#socket.fd >= 0) native.setResetOnClose(this.#socket.fd, true);
    this.#socket.terminate();
  }

  gone(): void {
    this.#answer = null;
    this.#deadline?.clear();
  }

  #resume(): void {
    this.#deadline = new Deadline(requestMsMax, () => {
      this.reset();
    });
    this.#socket.resume();
  }
}

/** Null for a client that has already left. */
function addressOf(socket: StatusSocket): SocketAddress | null {
  try {
    return peerAddress(socket.fd);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    socket.terminate();
    return null;
  }
}

async function answerOf(head: Head, options: StatusOptions): Promise<Answer> {
  if (head === "bad" || head === null) return text(400, "this is not an HTTP request");
  const { method, path } = head;
  if (method !== "GET" && method !== "HEAD") return text(405, "GET only");
  switch (path) {
    case "/healthz":
      return text(200, "ok");
    case "/readyz": {
      const missing = options.readiness();
      const notes = options.notes();
      return missing.length === 0
        ? text(200, ["ready", ...notes].join("\n"))
        : text(503, [...missing, ...notes].join("\n"));
    }
    case "/metrics":
      return await options.metrics();
    default:
      return text(404, "try /healthz, /readyz or /metrics");
  }
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}

/** Beyond this, one of the source with the most is closed. */
const connectionsMax = 64;
/** Per request head: a client that sends single bytes only wants to occupy a place. */
const chunksMax = 64;
/** Connections that arrive during a long turn of the loop. */
const backlogMax = 1024;
const requestMsMax = 5000;
