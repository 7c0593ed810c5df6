/**
 * Inside a pod: `bun ticket-refuser.ts alert|reset PORT CERT KEY CA`. A mutual TLS server that fails when it is
 * offered a session ticket, by an alert as OpenSSL does without a session id context, or by RST, and prints
 * "refused". Other clients get "served" over HTTP.
 */
import { readFileSync } from "node:fs";

import type { Socket } from "bun";

type Side = { other: Socket<Side> | null; early: Buffer };

const [, , how = "", port = "0", ...paths] = process.argv;
const [cert = "", key = "", ca = ""] = paths.map((path) => readFileSync(path, "utf8"));
const inside = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert, key, ca, requestCert: true, rejectUnauthorized: true },
  socket: {
    data: (socket) => {
      socket.write("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nserved");
      socket.end();
    },
  },
});

/** Fatal, internal_error. */
const alert = Uint8Array.of(21, 3, 3, 0, 2, 2, 80);
const relayed = {
  data: (socket: Socket<Side>, chunk: Buffer): void => void socket.data.other?.write(chunk),
  close: (socket: Socket<Side>): void => void socket.data.other?.end(),
  error: (): void => undefined,
};

Bun.listen<Side>({
  hostname: "::",
  port: Number(port),
  socket: {
    ...relayed,
    open: (socket) => {
      socket.data = { other: null, early: Buffer.alloc(0) };
    },
    data: (socket, chunk) => {
      if (socket.data.other !== null) relayed.data(socket, chunk);
      else decide(socket, Buffer.concat([socket.data.early, chunk]));
    },
  },
});
console.log("serving");

/** Called once the ClientHello, in its one record, is complete. */
function decide(socket: Socket<Side>, come: Buffer): void {
  socket.data.early = come;
  if (come.length < 5 || come.length < 5 + come.readUInt16BE(3)) return;
  if (!extensionsOf(come).includes(preSharedKey)) {
    void relay(socket, come);
    return;
  }
  console.log("refused");
  if (how === "alert") socket.end(alert);
  else socket.terminate();
}

async function relay(socket: Socket<Side>, come: Buffer): Promise<void> {
  const data: Side = { other: socket, early: come };
  const { hostname, port: to } = inside;
  const other = await Bun.connect<Side>({ hostname, port: to, data, socket: relayed });
  socket.data.other = other;
  other.write(come);
}

/** The types of a ClientHello's extensions: RFC 8446, 4.1.2. */
function extensionsOf(record: Buffer): readonly number[] {
  let at = 5 + 4 + 2 + 32;
  at += 1 + record.readUInt8(at); // session id
  at += 2 + record.readUInt16BE(at); // cipher suites
  at += 1 + record.readUInt8(at); // compression methods
  const types: number[] = [];
  for (at += 2; at < record.length; at += 4 + record.readUInt16BE(at + 2))
    types.push(record.readUInt16BE(at));
  return types;
}

const preSharedKey = 41;
