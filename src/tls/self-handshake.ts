/** A handshake with ourselves: what a peer's TLS library will say of our chain, in both roles. */
import type { Socket, SocketHandler, TLSOptions, UnixSocketListener } from "bun";
import { randomUUID } from "node:crypto";

import { Deadline } from "../runtime/deadline.ts";
import type { Fault } from "../net/fault.ts";
import { faultOf } from "../net/handlers.ts";
import { notServed } from "../net/listener.ts";
import { assertSocketsFree, socketShortage } from "../net/spare-sockets.ts";

export type SelfHandshakeOptions = {
  readonly terminating: TLSOptions;
  readonly dialing: TLSOptions;
  /** Ours, as DER: it identifies our own connection. */
  readonly certificate: Uint8Array;
  readonly handshakeMsMax: number;
};

export type SelfHandshake =
  | {
      readonly kind: "ended";
      /**
       * The verdicts of a client on our certificate as a server's, and of a server on it as a client's; null if
       * valid.
       */
      readonly server: Fault | null;
      readonly client: Fault | null;
    }
  /** The handshake did not finish; the code of the cause, "HANDSHAKE_TIMEOUT" or the TLS library's. */
  | { readonly kind: "failed"; readonly fault: Fault };

/**
 * Uses an abstract Unix socket (unix(7)): no file, and no network needed. Another process of this network namespace
 * may find its name and connect too; it has no certificate of ours, so it is ignored. Throws CREDENTIALS_INVALID if
 * the TLS library refuses to load the key or the certificate, SYSTEM_CALL if its sockets cannot be opened: the credentials
 * are not to blame.
 */
export async function shakeHandsWithOurselves(
  options: SelfHandshakeOptions,
): Promise<SelfHandshake> {
  assertSocketsFree(socketsNeeded);
  const unix = `\0tls-tproxy-${randomUUID()}`;
  const verdicts = new Verdicts(options.certificate);
  const deadline = new Deadline(options.handshakeMsMax, () => {
    verdicts.fail("HANDSHAKE_TIMEOUT");
  });
  let listener: UnixSocketListener<unknown> | null = null;
  try {
    listener = taken(() =>
      Bun.listen({ unix, tls: options.terminating, socket: verdicts.serverHandlers }),
    );
    const client = taken(() =>
      Bun.connect({ unix, tls: options.dialing, socket: verdicts.clientHandlers }),
    );
    client.catch((error: unknown) => {
      verdicts.fail(faultOf(error));
    });
    const result = await verdicts.ended;
    const shortage = result.kind === "failed" ? socketShortage(socketsNeeded - 1) : null;
    if (shortage !== null) throw shortage;
    return result;
  } finally {
    deadline.clear();
    verdicts.end();
    listener?.stop(true);
  }
}

function taken<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw notServed(error);
  }
}

/** The listener, the client, and the accepted end of its connection; Bun may need one of its own. */
const socketsNeeded = 4;

/** Collects both verdicts. */
class Verdicts {
  readonly ended: Promise<SelfHandshake>;
  readonly #end: (result: SelfHandshake) => void;
  readonly #own: Uint8Array;
  #server: Fault | null | undefined;
  #client: Fault | null | undefined;
  /** The server's verdict on a connection without a certificate: a stranger's, or ours that failed. */
  #serverFault: Fault = "";
  #socket: Socket<unknown> | null = null;

  constructor(own: Uint8Array) {
    const { promise, resolve } = Promise.withResolvers<SelfHandshake>();
    this.ended = promise;
    this.#end = resolve;
    this.#own = own;
  }

  /** Records the client's verdict. */
  readonly clientHandlers = {
    data: () => undefined,
    open: (socket) => {
      this.#socket = socket;
    },
    handshake: (_socket, success, error) => {
      const fault = faultOf(error);
      // It expects the name localhost, but checks the chain before that.
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

  /** Records the server's verdict. */
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

  /** The first fault counts; after the end none does. */
  fail(fault: Fault): void {
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
