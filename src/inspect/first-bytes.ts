/** What a client of an inspected port begins with, looked at without taking it: recv(2), MSG_PEEK. */
import { Deadline } from "../deadline.ts";
import * as native from "../native/native.ts";
import type { Stream } from "../net/stream.ts";
import { classify, peekBytesMax } from "./client-hello.ts";

/** `silent`: it waits for the server to speak. `gone`: the connection is. */
export type FirstBytes = "ours" | "other" | "silent" | "gone";

export type InspectLimits = {
  /** For the first byte. */
  readonly firstBytesMsMax: number;
  /** For the rest of something that begins like a ClientHello. */
  readonly handshakeMsMax: number;
};

/**
 * Looks again and again, because Bun tells nothing of a paused socket. A beginning that is never completed is none
 * of ours: it is the application that has to judge it.
 */
export async function firstBytes(stream: Stream, limits: InspectLimits): Promise<FirstBytes> {
  const began = performance.now();
  for (let look = 0; ; look += 1) {
    const seen = peek(stream);
    if (seen !== "incomplete" && seen !== "nothing") return seen;
    const waited = performance.now() - began;
    if (seen === "nothing" && waited >= limits.firstBytesMsMax) return "silent";
    if (seen === "incomplete" && waited >= limits.handshakeMsMax) return "other";
    // oxlint-disable-next-line no-await-in-loop -- a look after the other
    await pause(Math.min(pauseMsMax, 1 + look / 8));
  }
}

function peek(stream: Stream): "ours" | "other" | "gone" | "incomplete" | "nothing" {
  const fd = stream.socket?.fd ?? -1;
  if (fd < 0) return "gone";
  const length = native.peek(fd, scratch);
  if (length === null) return "nothing";
  // The client's end, or an error: the relay passes on either.
  if (length <= 0) return "other";
  const kind = classify(scratch.subarray(0, length));
  return kind === "incomplete" && native.tcpState(fd) === "close-wait" ? "other" : kind;
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

/** Nothing waits between a look and what is made of it. */
const scratch = new Uint8Array(peekBytesMax);
const pauseMsMax = 20;
