/**
 * A TLS client that sends the bytes a test chooses: `teller.ts HOST PORT CERTIFICATE KEY PROTOCOLS OWN-PORT HEX`.
 * Sends the bytes, waits for mirror.ts's answer, prints a sight, and stays until its input ends, or with a final
 * `stay` until it is killed.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as secure } from "node:tls";

import type { Sight } from "./mirror.ts";

const [host = "", port = "0", certificate = "", key = "", protocols = "", own = "0", hex = ""] =
  process.argv.slice(2);
const localPort = own === "0" ? {} : { localPort: Number(own) };
const socket = connect({ host, port: Number(port), ...localPort });
const peer = secure({
  socket,
  cert: readFileSync(certificate),
  key: readFileSync(key),
  rejectUnauthorized: false,
  ...(protocols === "" ? {} : { ALPNProtocols: protocols.split(",") }),
});
let said = "";
const sight = await new Promise<Sight>((resolve) => {
  const settle = (error: string): void => {
    const [seen = "", at = ""] = said.trim().split(" ");
    resolve({ own: textOf(socket), seen, at, error });
  };
  peer.on("secureConnect", () => {
    peer.write(Buffer.from(hex, "hex"));
  });
  peer.on("data", (chunk) => {
    said += chunk.toString();
    if (said.endsWith("\n")) settle("");
  });
  peer.on("error", (error) => {
    settle(error.message);
  });
  peer.on("close", () => {
    settle("closed");
  });
});
console.log(JSON.stringify([sight]));
if (process.argv.at(-1) !== "stay") {
  process.stdin.resume();
  process.stdin.on("end", () => {
    process.kill(process.pid, "SIGKILL");
  });
}

function textOf({ localAddress = "", localPort: of = 0 }: Socket): string {
  return localAddress.includes(":") ? `[${localAddress}]:${of}` : `${localAddress}:${of}`;
}
