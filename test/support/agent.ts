/** Runs inside a pod and executes the test's calls from stdin, one JSON line each: an application's sockets. */
import type { Socket, SocketListener } from "bun";
import { createInterface } from "node:readline";

import type { Call, Ending } from "./calls.ts";
import { pattern } from "./pattern.ts";

class Held {
  socket: Socket<Held> | null = null;
  received = 0;
  hasher = new Bun.CryptoHasher("sha256");
  head = "";
  ending: Ending | null = null;
  writable = true;
  /** send(2) has failed: it has consumed the socket's error, so what follows looks like an end. */
  broken = false;
  changed: (() => void)[] = [];

  change(): void {
    const waiting = this.changed;
    this.changed = [];
    for (const wake of waiting) wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.changed.push(resolve));
  }
}

class Listening {
  readonly accepted: Held[] = [];
  readonly waiting: ((held: Held) => void)[] = [];
  listener: SocketListener<Held> | null = null;
}

const sockets: Held[] = [];
const listeners: Listening[] = [];

const handlers = {
  binaryType: "uint8array" as const,
  data: (socket: Socket<Held>, chunk: Uint8Array) => {
    const held = socket.data;
    held.received += chunk.length;
    held.hasher.update(chunk);
    if (held.head.length < 4096)
      held.head += new TextDecoder("latin1").decode(chunk.subarray(0, 4096));
    held.change();
  },
  drain: (socket: Socket<Held>) => {
    socket.data.writable = true;
    socket.data.change();
  },
  end: (socket: Socket<Held>) => {
    socket.data.ending ??= socket.data.broken ? "ECONNRESET" : "end";
    socket.data.change();
  },
  close: (socket: Socket<Held>, error?: unknown) => {
    const code = codeOf(error);
    // After our own shutdown Bun reports the peer's FIN only by `close`; a later error is an RST.
    if (code !== "") socket.data.ending = code;
    else socket.data.ending ??= "end";
    socket.data.socket = null;
    socket.data.change();
  },
  error: (socket: Socket<Held>, error: unknown) => {
    socket.data.ending = codeOf(error);
    socket.data.change();
  },
};

async function act(call: Call): Promise<unknown> {
  switch (call.op) {
    case "listen":
      return listen(call.host, call.port);
    case "accept":
      return await accept(call.listener);
    case "connect":
      return await connect(call.host, call.port);
    case "write":
      return await write(socketOf(call.socket), call.bytes, call.text);
    case "say":
      socketOf(call.socket).socket?.write(
        Buffer.from(call.text, call.bytes === true ? "latin1" : "utf8"),
      );
      return null;
    case "end":
      return end(socketOf(call.socket));
    case "reset":
      socketOf(call.socket).socket?.terminate();
      return null;
    case "pause":
      socketOf(call.socket).socket?.pause();
      return null;
    case "resume":
      socketOf(call.socket).socket?.resume();
      return null;
    case "received":
      return await received(socketOf(call.socket), call.bytes);
    case "finish":
      return await finish(socketOf(call.socket));
    case "gone":
      return await gone(socketOf(call.socket));
  }
}

function listen(host: string, port: number): number {
  const listening = new Listening();
  listening.listener = Bun.listen<Held>({
    hostname: host,
    port,
    allowHalfOpen: true,
    socket: {
      ...handlers,
      open: (socket) => {
        socket.data = hold(socket);
        const waiting = listening.waiting.shift();
        if (waiting === undefined) listening.accepted.push(socket.data);
        else waiting(socket.data);
      },
    },
  });
  return listeners.push(listening) - 1;
}

async function accept(index: number): Promise<{ socket: number; peer: string; local: string }> {
  const listening = listeners[index];
  if (listening === undefined) throw new Error("no such listener");
  const held =
    listening.accepted.shift() ??
    (await new Promise<Held>((resolve) => listening.waiting.push(resolve)));
  const socket = sockets.indexOf(held);
  return {
    socket,
    peer: held.socket?.remoteAddress ?? "",
    local: held.socket?.localAddress ?? "",
  };
}

async function connect(host: string, port: number): Promise<number> {
  const held = new Held();
  const open = (socket: Socket<Held>): void => {
    held.socket = socket;
  };
  const options = { hostname: host, port, data: held, allowHalfOpen: true };
  await Bun.connect<Held>({ ...options, socket: { ...handlers, open } });
  return sockets.push(held) - 1;
}

async function write(
  held: Held,
  bytes: number,
  text?: string,
): Promise<{ sha256: string; bytes: number }> {
  const said = text === undefined ? null : Buffer.from(text.repeat(10_000));
  const hasher = new Bun.CryptoHasher("sha256");
  for (let sent = 0; sent < bytes;) {
    const chunk = said ?? pattern(sent, Math.min(262_144, bytes - sent));
    const result = held.socket?.write(chunk) ?? 0;
    if (result < 0) held.broken = true;
    const taken = Math.max(0, result);
    hasher.update(chunk.subarray(0, taken));
    sent += taken;
    if (taken < chunk.length) {
      held.writable = false;
      // If send(2) has consumed an RST, a paused socket gets no further event.
      await held.until(() => held.writable || held.socket === null || held.broken);
      if (held.socket === null || held.broken)
        throw new Error(`cut after ${sent} bytes: ${held.ending ?? "ECONNRESET"}`);
    }
  }
  return { sha256: hasher.digest("hex"), bytes };
}

function end(held: Held): null {
  if (held.ending === null) held.socket?.shutdown();
  else held.socket?.end();
  return null;
}

async function received(held: Held, bytes: number): Promise<{ bytes: number; text: string }> {
  await held.until(() => held.received >= bytes || held.ending !== null);
  return { bytes: held.received, text: held.head };
}

async function finish(
  held: Held,
): Promise<{ bytes: number; sha256: string; text: string; ending: Ending }> {
  await held.until(() => held.ending !== null);
  const sha256 = held.hasher.copy().digest("hex");
  return { bytes: held.received, sha256, text: held.head, ending: held.ending ?? "end" };
}

/** The first end seen may not be final: an RST may follow it. */
async function gone(held: Held): Promise<Ending> {
  await held.until(() => held.socket === null);
  return held.ending ?? "end";
}

function hold(socket: Socket<Held>): Held {
  const held = new Held();
  held.socket = socket;
  sockets.push(held);
  return held;
}

function socketOf(index: number): Held {
  const held = sockets[index];
  if (held === undefined) throw new Error(`no such socket: ${index}`);
  return held;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

async function answer(line: string): Promise<void> {
  const call = JSON.parse(line) as Call & { readonly id: number };
  try {
    process.stdout.write(`${JSON.stringify({ id: call.id, result: await act(call) })}\n`);
  } catch (error) {
    const code = codeOf(error) === "" ? String(error) : codeOf(error);
    process.stdout.write(`${JSON.stringify({ id: call.id, error: code })}\n`);
  }
}

for await (const line of createInterface({ input: process.stdin })) void answer(line);
process.exitCode = 0;
