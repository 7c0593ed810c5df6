/** One peer between accept(2) and the verdict. */
import type { HandshakeDeadline } from "../relay/handshake-deadline.ts";
import type { Leg } from "../relay/leg.ts";

/** The origin of a connection: `sourceKey` and `hostKey` of an address. */
export type VisitOrigin = { readonly source: string; readonly host: string };

export class Visit {
  readonly leg: Leg;
  readonly source: string;
  /** The whole address, if a source has several. */
  readonly host: string;
  readonly since: number;
  /** The bytes that it holds beyond its base allowance: visit-groups.ts. */
  bytes = 0;
  /** When bytes of its handshake were first seen to be read. */
  begunAt: number | null = null;
  /** Unread data is pending in the kernel. */
  isReady = false;
  /** When its handshake got a place (handshake-places.ts); null without one. */
  placedAt: number | null = null;
  /** It had a place before, so it continues where it stopped. */
  wasPlaced = false;
  isWaiting = false;
  /** Wakes the pending turn(). */
  resolve: (() => void) | null = null;
  /** The handshake's deadline, once it has started. */
  deadline: HandshakeDeadline | null = null;

  constructor(leg: Leg, { source, host }: VisitOrigin, since: number) {
    this.leg = leg;
    this.source = source;
    this.host = host;
    this.since = since;
  }
}
