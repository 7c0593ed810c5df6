/**
 * Unwanted peers inside a pod: `bun crowd.ts KIND COUNT WIDTH HOST PORT [CERT KEY]`. Prints "standing" when as many
 * as possible are connected, and at the end one JSON line: how each ended, and what it received.
 */
import { readFileSync } from "node:fs";

import type { Socket } from "bun";

import { cutHandshake } from "./cut-handshake.ts";

const [kind = "", count = "1", width = "1", host = "", port = "0", cert, key] =
  process.argv.slice(2);

type Held = { readonly end: (how: string) => void; bytes: number };

const hello = clientHello();
const random = crypto.getRandomValues(new Uint8Array(4096));
// No TLS record starts like this, with an invalid version: one random start in 256 would look valid.
random.fill(0x99, 0, 2);
const oversize = new Uint8Array(70_000);
oversize.set([0x16, 3, 1, 0xff, 0xff]);

/** What each kind sends when it is connected, if anything. */
const opening: Readonly<Record<string, (socket: Socket<Held>) => void>> = {
  silent: () => undefined,
  http: (socket) => void socket.write("GET / HTTP/1.1\r\nHost: b\r\n\r\n"),
  random: (socket) => void socket.write(random),
  "half-hello": (socket) => void socket.write(hello.subarray(0, hello.length / 2)),
  drip: (socket) => void drip(socket),
  "oversize-record": (socket) => void socket.write(oversize),
  vanish: (socket) => {
    socket.data.end("vanished");
    socket.terminate();
  },
  handshake: () => undefined,
  "stalled-reader": () => undefined,
  "stalled-writer": () => undefined,
  request: () => undefined,
};

const plenty = new Uint8Array(65_536);
const endings: Record<string, number> = {};
let bytes = 0;
let standing = 0;
let left = Number(count);
await Promise.all(Array.from({ length: Number(width) }, queue));
console.log(JSON.stringify({ endings, bytes }));

async function queue(): Promise<void> {
  while (left > 0) {
    left -= 1;
    const how = await one();
    endings[how] = (endings[how] ?? 0) + 1;
  }
}

async function one(): Promise<string> {
  if (kind === "half-certificate")
    return await cutHandshake({ host, port: Number(port), ...tlsOptions() }, stand);
  const { promise, resolve } = Promise.withResolvers<string>();
  const held: Held = { end: resolve, bytes: 0 };
  const tls = ["handshake", "request", "stalled-reader", "stalled-writer"].includes(kind);
  await Bun.connect<Held>({
    hostname: host,
    port: Number(port),
    data: held,
    ...(tls ? { tls: tlsOptions() } : {}),
    socket: {
      open: (socket) => {
        // If the cut network has dropped an RST, keep-alive makes the peer send another.
        socket.setKeepAlive(true, 1000);
        if (!tls) stand();
        opening[kind]?.(socket);
      },
      handshake: (socket) => {
        stand();
        if (kind === "stalled-reader") socket.pause();
        if (kind === "stalled-writer") pour(socket);
        if (kind === "request") socket.write("GET / HTTP/1.0\r\n\r\n");
      },
      data: (socket, chunk) => {
        bytes += chunk.length;
        socket.data.bytes += chunk.length;
        if (kind !== "request") return;
        resolve("answered");
        socket.end();
      },
      drain: (socket) => {
        if (kind === "stalled-writer") pour(socket);
      },
      end: () => {
        resolve("end");
      },
      close: (_, error) => {
        resolve((error as { code?: string } | undefined)?.code ?? "end");
      },
      error: (_, error) => {
        resolve((error as { code?: string }).code ?? "error");
      },
      connectError: () => undefined,
    },
  }).catch((error: unknown) => {
    resolve((error as { code?: string }).code ?? "error");
  });
  return await promise;
}

function stand(): void {
  standing += 1;
  if (standing === Math.min(Number(count), Number(width))) console.log("standing");
}

function pour(socket: Socket<Held>): void {
  while (socket.write(plenty) === plenty.length);
}

async function drip(socket: Socket<Held>): Promise<void> {
  for (const byte of hello) {
    if (socket.write(Uint8Array.of(byte)) < 0) return;
    await Bun.sleep(50);
  }
}

function tlsOptions(): { cert?: string; key?: string; rejectUnauthorized: boolean } {
  const own = cert === undefined || key === undefined ? {} : { cert: pem(cert), key: pem(key) };
  return { ...own, rejectUnauthorized: false };
}

function pem(path: string): string {
  return readFileSync(path, "utf8");
}

/** A valid start of a ClientHello: RFC 8446, 4.1.2. */
function clientHello(): Uint8Array {
  const bytesOf = new Uint8Array(517);
  bytesOf.set([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
  return bytesOf;
}
