/** Inspects the first bytes of a client on an inspected port without consuming them: recv(2), MSG_PEEK. */
import { Deadline } from "../runtime/deadline.ts";
import * as native from "../native/native.ts";
import type { Leg } from "../relay/leg.ts";
import { classify, peekBytesMax } from "./client-hello.ts";

/**
 * `silent`: it waits for the server to speak. `ended`: it has ended its direction without data. `gone`: the
 * connection is closed.
 */
export type FirstBytes = "ours" | "other" | "silent" | "ended" | "gone";

export type DetectLimits = {
  /** Wait for the first byte. */
  readonly firstBytesMsMax: number;
  /** Wait for the rest of what begins like a ClientHello. */
  readonly handshakeMsMax: number;
};

/**
 * Polls, because Bun raises no events for a paused socket; judges only when data has been added. An incomplete
 * ClientHello does not count as ours: the application must judge it.
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

/** The number of pending bytes, which are then in `scratch`; 0 at the end, null if there are none yet. */
function peek(leg: Leg): number | "gone" | null {
  const fd = leg.socket.fd;
  if (fd < 0) return "gone";
  const length = native.peek(fd, scratch);
  return length !== null && length < 0 ? "gone" : length;
}

/** No more bytes will follow the pending ones. */
function hasEnded(leg: Leg): boolean {
  return native.tcpState(leg.socket.fd) === "close-wait";
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

/** Reused, because the result is used before the next check. */
const scratch = new Uint8Array(peekBytesMax);
/** Between two checks of a client that has sent nothing, or not enough. */
const silentMsMax = 20;
const incompleteMsMax = 100;
