/**
 * A TLS server that sends all but the end of its certificates: `bun half-server.ts PORT CHAIN KEY`. Says "listening".
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { duplexPair } from "node:stream";
import { TLSSocket } from "node:tls";

const [port = "0", chain = "", key = ""] = process.argv.slice(2);
const options = { cert: readFileSync(chain), key: readFileSync(key), isServer: true };

createServer((wire) => {
  const [near, far] = duplexPair();
  let kept = Buffer.alloc(0);
  far.on("data", (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes]);
    wire.write(kept.subarray(0, Math.max(0, kept.length - 1200)));
    kept = kept.subarray(Math.max(0, kept.length - 1200));
  });
  wire.on("data", (bytes) => {
    far.write(bytes);
  });
  wire.on("error", () => undefined);
  new TLSSocket(near, options).on("error", () => undefined);
}).listen(Number(port), "::", () => {
  console.log("listening");
});
