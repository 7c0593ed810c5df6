/** One HTTP request over a socket of its own, with its actual end, which fetch() would hide. */
import type { Socket, TLSOptions } from "bun";

import { Deadline } from "../../runtime/deadline.ts";
import type { ClientCredentials, RequestOutcome, RequestQuestion } from "./messages.ts";

/** Sends one request. Never rejects: every end is an outcome. */
export async function ask(question: RequestQuestion): Promise<RequestOutcome> {
  const asking = new Asking(question);
  const deadline = new Deadline(question.msMax, () => {
    asking.settle({ kind: "silence", msMax: question.msMax });
  });
  const tls = question.tls === null ? {} : { tls: tlsOptionsOf(question.tls) };
  const connecting = Bun.connect<Asking>({
    hostname: question.address,
    port: question.port,
    data: asking,
    ...tls,
    socket: handlers,
  });
  connecting.catch((error: unknown) => {
    asking.settle({ kind: "refused", code: codeOf(error) });
  });
  const outcome = await asking.outcome;
  deadline.clear();
  return outcome;
}

class Asking {
  readonly outcome: Promise<RequestOutcome>;
  readonly #request: string;
  readonly #tls: boolean;
  readonly #resolve: (outcome: RequestOutcome) => void;
  #socket: Socket<Asking> | null = null;
  #settled = false;
  #text = "";
  #fault = "";

  constructor({ path, address, tls }: RequestQuestion) {
    const { promise, resolve } = Promise.withResolvers<RequestOutcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#tls = tls !== null;
    const host = address.includes(":") ? `[${address}]` : address;
    this.#request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  }

  /** The first outcome counts: ending the socket also raises a close event. */
  settle(outcome: RequestOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#resolve(outcome);
    this.#socket?.terminate();
  }

  /** A connection established too late does not count. */
  open(socket: Socket<Asking>): void {
    if (this.#settled) socket.terminate();
    else this.#socket = socket;
    if (!this.#tls && !this.#settled) socket.write(this.#request);
  }

  handshake(socket: Socket<Asking>): void {
    if (!this.#settled) socket.write(this.#request);
  }

  data(chunk: Uint8Array): void {
    this.#text += new TextDecoder("latin1").decode(chunk);
  }

  fail(error: unknown): void {
    if (this.#fault === "") this.#fault = codeOf(error);
  }

  close(error: unknown): void {
    this.fail(error);
    this.#socket = null;
    this.settle(answerIn(this.#text) ?? { kind: "refused", code: this.#fault });
  }
}

/** An exception in a handler would end the process: these only record what happened. */
const handlers = {
  binaryType: "uint8array" as const,
  open: (socket: Socket<Asking>) => {
    socket.data.open(socket);
  },
  handshake: (socket: Socket<Asking>) => {
    socket.data.handshake(socket);
  },
  data: (socket: Socket<Asking>, chunk: Uint8Array) => {
    socket.data.data(chunk);
  },
  error: (socket: Socket<Asking>, error: unknown) => {
    socket.data.fail(error);
  },
  close: (socket: Socket<Asking>, error?: unknown) => {
    socket.data.close(error);
  },
};

/** Null unless a whole head has arrived: a status line alone is no answer. */
function answerIn(text: string): RequestOutcome | null {
  const match = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n([^]*)$/.exec(text);
  if (match === null) return null;
  return { kind: "answer", status: Number(match[1]), body: match[2] ?? "" };
}

/** The client trusts any server, because the demo shows whom the server refuses. */
function tlsOptionsOf({ certificate, key }: ClientCredentials): TLSOptions {
  const own = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  return { ...own, rejectUnauthorized: false };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return code === "" ? error.message : code;
}
