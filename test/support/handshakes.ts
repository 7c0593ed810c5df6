/** Runs in a pod: shakes hands with ADDRESS PORT again and again until the server shows the certificate FINGERPRINT. */
const [address = "", port = "", fingerprint = ""] = process.argv.slice(2);

while ((await shown()) !== fingerprint);
console.log("seen");

/** The certificate of one handshake. The server refuses us afterwards, having none of ours. */
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
