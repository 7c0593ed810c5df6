/** A handshake with ourselves: what the TLS library of a peer will say of our own chain, in both roles. */
import type { Socket, SocketHandler, TLSOptions, UnixSocketListener } from "bun";
import { randomUUID } from "node:crypto";

import { Deadline } from "../runtime/deadline.ts";
import { faultOf } from "../net/handlers.ts";
import { credentialsRefused } from "../net/listener.ts";

export type SelfHandshakeOptions = {
  readonly terminating: TLSOptions;
  readonly dialing: TLSOptions;
  /** Ours, as DER: by it our own connection is known. */
  readonly certificate: Uint8Array;
  readonly handshakeMsMax: number;
};

export type SelfHandshake =
  | {
      readonly kind: "ended";
      /** What a client says of our certificate as a server's, and a server of it as a client's; null for nothing. */
      readonly server: string | null;
      readonly client: string | null;
    }
  /** There is no end of it; the code of what stopped it, "HANDSHAKE_TIMEOUT" or what the TLS library says. */
  | { readonly kind: "failed"; readonly fault: string };

/**
 * Over an abstract Unix socket (unix(7)): no file, and no network that has to be up. Another process of this network
 * namespace may find its name and connect too; it has no certificate of ours, so it is passed over. Throws
 * CREDENTIALS_INVALID where the TLS library does not take key or certificate at all.
 */
export async function shakeHandsWithOurselves(
  options: SelfHandshakeOptions,
): Promise<SelfHandshake> {
  const unix = `\0tls-tproxy-${randomUUID()}`;
  const trial = new Trial(options.certificate);
  const deadline = new Deadline(options.handshakeMsMax, () => {
    trial.fail("HANDSHAKE_TIMEOUT");
  });
  let listener: UnixSocketListener<unknown> | null = null;
  try {
    listener = taken(() =>
      Bun.listen({ unix, tls: options.terminating, socket: trial.serverHandlers }),
    );
    const client = taken(() =>
      Bun.connect({ unix, tls: options.dialing, socket: trial.clientHandlers }),
    );
    client.catch((error: unknown) => {
      trial.fail(faultOf(error));
    });
    return await trial.ended;
  } finally {
    deadline.clear();
    trial.end();
    listener?.stop(true);
  }
}

function taken<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw credentialsRefused(error);
  }
}

/** Both verdicts, as they come in. */
class Trial {
  readonly ended: Promise<SelfHandshake>;
  readonly #end: (result: SelfHandshake) => void;
  readonly #own: Uint8Array;
  #server: string | null | undefined;
  #client: string | null | undefined;
  /** What the server has said of a connection without a certificate: a stranger's, or ours that failed. */
  #serverFault = "";
  #socket: Socket<unknown> | null = null;

  constructor(own: Uint8Array) {
    const { promise, resolve } = Promise.withResolvers<SelfHandshake>();
    this.ended = promise;
    this.#end = resolve;
    this.#own = own;
  }

  /** What the client says. */
  readonly clientHandlers = {
    data: () => undefined,
    open: (socket) => {
      this.#socket = socket;
    },
    handshake: (_socket, success, error) => {
      const fault = faultOf(error);
      // It looks for the name localhost: the chain comes before that.
      this.#server = fault === "" || fault === "ERR_TLS_CERT_ALTNAME_INVALID" ? null : fault;
      if (!success && fault === "ECONNRESET") this.fail(fault);
      else this.#settle();
    },
    error: (_socket, error) => {
      this.fail(faultOf(error));
    },
    close: (_socket, error) => {
      this.fail(faultOf(error));
    },
  } satisfies SocketHandler;

  /** What the server says. */
  readonly serverHandlers = {
    data: () => undefined,
    handshake: (socket, _success, error) => {
      const shown = socket.getPeerX509Certificate()?.raw;
      if (shown !== undefined && Buffer.compare(shown, this.#own) === 0) {
        this.#client = faultOf(error) || null;
        this.#settle();
      } else this.#serverFault = faultOf(error);
    },
    error: (_socket, error) => {
      this.#serverFault = faultOf(error);
    },
  } satisfies SocketHandler;

  /** The first one counts; after the end nothing does. */
  fail(fault: string): void {
    this.#end({ kind: "failed", fault: this.#serverFault || fault || (this.#server ?? "") });
  }

  end(): void {
    this.fail("");
    this.#socket?.terminate();
  }

  #settle(): void {
    if (this.#server === undefined || this.#client === undefined) return;
    this.#end({ kind: "ended", server: this.#server, client: this.#client });
  }
}
