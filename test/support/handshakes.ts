/** Runs in a pod: makes handshakes with ADDRESS PORT until the server shows the certificate FINGERPRINT. */
const [address = "", port = "", fingerprint = ""] = process.argv.slice(2);

while ((await shown()) !== fingerprint);
console.log("seen");

/** The server's certificate in one handshake. The server then refuses us, because we show none. */
async function shown(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: address,
    port: Number(port),
    tls: { rejectUnauthorized: false },
    socket: {
      handshake: (one) => {
        resolve(one.getPeerX509Certificate()?.fingerprint256 ?? "");
      },
      close: () => {
        resolve("");
      },
      error: () => undefined,
      data: () => undefined,
    },
  });
  const seen = await promise;
  socket.terminate();
  return seen;
}
