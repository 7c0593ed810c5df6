/** ClientHellos of a real TLS client. */

/** The first record of Bun's client when it offers these protocols. */
export async function spokenHello(protocols: readonly string[]): Promise<Uint8Array> {
  const heard = Promise.withResolvers<Uint8Array>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, chunk) => {
        heard.resolve(new Uint8Array(chunk));
        socket.terminate();
      },
    },
  });
  const alpn = protocols.map((name) => String.fromCharCode(name.length) + name).join("");
  await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    tls: { ALPNProtocols: alpn, rejectUnauthorized: false },
    socket: { data: () => undefined, error: () => undefined },
  });
  const hello = await heard.promise;
  listener.stop(true);
  return hello;
}

/** The same message in records of `size` bytes each: RFC 8446, 5.1. */
export function recordsOf(record: Uint8Array, size: number): Uint8Array {
  const message = record.subarray(5);
  const records: number[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(22, 3, 1, part.length >> 8, part.length & 0xff, ...part);
  }
  return Uint8Array.from(records);
}
