/** The status address: is the proxy alive, is it ready, what has it done. Nothing here changes state. */
import type { Socket } from "bun";

import { Deadline } from "../deadline.ts";
import type { SocketAddress } from "../net/address.ts";
import { openListening } from "../net/listener.ts";
import type { SocketForm } from "../net/socket-form.ts";
import { formatAnswer, parseHead, type Answer } from "./request.ts";

export type StatusServer = { readonly stop: () => void };

export type StatusOptions = {
  /** Of `openStatus`; the server's from then on. */
  readonly fd: number;
  /** What stands between the proxy and readiness: an empty list means ready. */
  readonly readiness: () => readonly string[];
  /** What is worth knowing and keeps nothing from being ready. */
  readonly notes: () => readonly string[];
  readonly metrics: () => Promise<Answer>;
};

/** With the proxy's mark in its form answers to peers in the mesh are not intercepted. Throws SystemCallError. */
export function openStatus(address: SocketAddress, form: SocketForm): number {
  return openListening(address, { form, backlogMax: connectionsMax }, false);
}

/**
 * Serves GET /healthz, /readyz and /metrics. Bun's own HTTP server takes no socket that was made before and bounds no
 * connections: whoever reaches the port could use up the proxy's descriptors.
 */
export function serveStatus(options: StatusOptions): StatusServer {
  const { fd } = options;
  const live = new Set<Connection>();
  const listener = Bun.listen<Connection>({
    fd,
    allowHalfOpen: true,
    socket: {
      open: (socket) => {
        socket.data = new Connection(socket, options);
        live.add(socket.data);
        const [oldest] = live;
        if (live.size > connectionsMax) oldest?.terminate();
      },
      data: (socket, chunk) => {
        socket.data.read(chunk);
      },
      drain: (socket) => {
        socket.data.flush();
      },
      close: (socket) => {
        socket.data.gone();
        live.delete(socket.data);
      },
      error: () => undefined,
    },
  });
  return {
    stop: () => {
      listener.stop(true);
    },
  };
}

/** One request and its answer. */
class Connection {
  readonly #socket: Socket<Connection>;
  readonly #options: StatusOptions;
  readonly #deadline: Deadline;
  #head = "";
  #answering = false;
  #answer: Uint8Array | null = null;

  constructor(socket: Socket<Connection>, options: StatusOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#deadline = new Deadline(requestMsMax, () => {
      this.terminate();
    });
  }

  read(chunk: Uint8Array): void {
    if (this.#answering) return;
    this.#head += new TextDecoder("latin1").decode(chunk);
    const request = parseHead(this.#head);
    if (request === null) return;
    this.#answering = true;
    const method = request === "bad" ? "" : request.method;
    const path = request === "bad" ? null : request.path;
    void answerOf(method, path, this.#options)
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

  terminate(): void {
    this.#socket.terminate();
  }

  gone(): void {
    this.#answer = null;
    this.#deadline.clear();
  }
}

async function answerOf(
  method: string,
  path: string | null,
  options: StatusOptions,
): Promise<Answer> {
  if (path === null) return text(400, "this is no HTTP request");
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

/** When more come the oldest goes. */
const connectionsMax = 64;
const requestMsMax = 5000;
