/** A TLS client that sends all but the end of its Certificate message, and waits. */
import { connect } from "node:net";
import { duplexPair } from "node:stream";
import { connect as connectTls } from "node:tls";

export type CutOptions = {
  readonly host: string;
  readonly port: number;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
};

/** Resolves with how the connection ended. `standing` is called when everything has been sent. */
export async function cutHandshake(
  { host, port, ...tls }: CutOptions,
  standing: () => void,
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const wire = connect({ host, port });
  const [near, far] = duplexPair();
  let kept = Buffer.alloc(0);
  let isAnswered = false;
  let hasStood = false;
  far.on("data", (bytes: Buffer) => {
    if (!isAnswered) {
      wire.write(bytes);
      return;
    }
    kept = Buffer.concat([kept, bytes]);
    wire.write(kept.subarray(0, Math.max(0, kept.length - endBytes)));
    kept = kept.subarray(Math.max(0, kept.length - endBytes));
    if (hasStood) return;
    hasStood = true;
    standing();
  });
  wire.on("data", (bytes) => {
    isAnswered = true;
    far.write(bytes);
  });
  wire.on("error", (error: NodeJS.ErrnoException) => {
    resolve(error.code ?? "error");
  });
  wire.on("close", () => {
    resolve("end");
  });
  connectTls({ ...tls, socket: near }).on("error", () => undefined);
  return await promise;
}

/** The bytes of CertificateVerify, Finished, and the last part of Certificate. */
const endBytes = 1200;
