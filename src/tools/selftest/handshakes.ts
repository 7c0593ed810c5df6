/** Repeated mutual TLS with ourselves: shows that TLS works here, and that memory does not grow. */
import type { Socket } from "bun";

import { issueAuthority, issueLeaf } from "../../identity/issue.ts";
import { trialMsMax, within } from "./within.ts";

export type HandshakeFigures = {
  readonly done: number;
  /** Resident memory after the first tenth and at the end, bytes. */
  readonly early: number;
  readonly late: number;
};

/**
 * Makes `count` connections over loopback, with a byte each way. Rejects with the fault. `progress`: the number done.
 */
export async function shakeHands(
  count: number,
  progress: (done: number) => void,
): Promise<HandshakeFigures> {
  const tls = makeTls();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { ...tls, requestCert: true, rejectUnauthorized: true },
    socket: { data: (socket, chunk) => void socket.write(chunk), error: () => undefined },
  });
  try {
    let early = 0;
    for (let done = 0; done < count; done += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await within(trialMsMax, async () => await shakeOnce(listener.port, tls));
      if (done === Math.floor(count / 10)) early = process.memoryUsage.rss();
      if (done % 1000 === 999) progress(done + 1);
    }
    return { done: count, early, late: process.memoryUsage.rss() };
  } finally {
    listener.stop(true);
  }
}

type Tls = { readonly cert: string; readonly key: string; readonly ca: string };

function makeTls(): Tls {
  const authority = issueAuthority("selftest");
  const leaf = issueLeaf(authority, { spiffeId: "spiffe://self.test/me", ips: ["127.0.0.1"] });
  return { cert: leaf.certificatePem, key: leaf.keyPem, ca: authority.certificatePem };
}

async function shakeOnce(port: number, tls: Tls): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (_: Socket, error: Error): void => {
    reject(error);
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    tls: { ...tls, serverName: "127.0.0.1" },
    socket: {
      handshake: (one, success, error) => {
        if (success) one.write("x");
        else reject(error ?? new Error("the handshake failed"));
      },
      data: () => {
        resolve();
      },
      error: fail,
      close: () => {
        reject(new Error("closed before an answer"));
      },
    },
  });
  await promise;
  socket.terminate();
}
