/** What a client of an inspected port begins with, looked at without taking it: recv(2), MSG_PEEK. */
import { Deadline } from "../runtime/deadline.ts";
import * as native from "../native/native.ts";
import type { Leg } from "../relay/leg.ts";
import { classify, peekBytesMax } from "./client-hello.ts";

/** `silent`: it waits for the server to speak. `ended`: it has ended its direction unheard. `gone`: the connection is. */
export type FirstBytes = "ours" | "other" | "silent" | "ended" | "gone";

export type DetectLimits = {
  /** For the first byte. */
  readonly firstBytesMsMax: number;
  /** For the rest of something that begins like a ClientHello. */
  readonly handshakeMsMax: number;
};

/**
 * Looks again and again, because Bun tells nothing of a paused socket; judges only what has grown since. A beginning
 * that is never completed is none of ours: it is the application that has to judge it.
 */
export async function detect(leg: Leg, limits: DetectLimits): Promise<FirstBytes> {
  const began = performance.now();
  let before = 0;
  for (let look = 0; ; look += 1) {
    const length = peek(leg);
    if (length === "gone") return "gone";
    if (length === 0) return before === 0 ? "ended" : "other";
    if (length !== null && length !== before) {
      const kind = classify(scratch.subarray(0, length));
      if (kind !== "incomplete") return kind;
      before = length;
    }
    const waited = performance.now() - began;
    if (before === 0 && waited >= limits.firstBytesMsMax) return "silent";
    if (waited >= limits.handshakeMsMax || (before > 0 && hasEnded(leg))) return "other";
    // oxlint-disable-next-line no-await-in-loop -- a look after the other
    await pause(Math.min(before === 0 ? silentMsMax : incompleteMsMax, 1 + look / 8));
  }
}

/** How many bytes wait, 0 at the end, null for none as yet; they are in `scratch` then. */
function peek(leg: Leg): number | "gone" | null {
  const fd = leg.socket.fd;
  if (fd < 0) return "gone";
  const length = native.peek(fd, scratch);
  return length !== null && length < 0 ? "gone" : length;
}

/** No more bytes come after those that wait. */
function hasEnded(leg: Leg): boolean {
  return native.tcpState(leg.socket.fd) === "close-wait";
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

/** Nothing waits between a look and what is made of it. */
const scratch = new Uint8Array(peekBytesMax);
/** Between two looks at one that has said nothing, or not enough. */
const silentMsMax = 20;
const incompleteMsMax = 100;
