/**
 * The life of a leg: its states, their events, and the transitions. Pure.
 *
 * The table has every state and every event; `·` means no change. A test compares it with `next`. A state whose name
 * ends in "ended" is the state above it after the peer has ended its direction; `sending` is that for `relaying`,
 * `flushing-last` for `flushing`, and `closing` for `receiving`.
 *
 * | state            | ready         | joined   | peer-ended       | partner-ended | flushed   | write-failed | dismissed | closed | cut |
 * | ---------------- | ------------- | -------- | ---------------- | ------------- | --------- | ------------ | --------- | ------ | --- |
 * | setting-up       | waiting       | ·        | setting-up-ended | ·             | ·         | broken       | dismissed | cut    | cut |
 * | setting-up-ended | waiting-ended | ·        | ·                | ·             | ·         | broken-ended | dismissed | cut    | cut |
 * | waiting          | ·             | relaying | waiting-ended    | ·             | ·         | broken       | dismissed | cut    | cut |
 * | waiting-ended    | ·             | sending  | ·                | ·             | ·         | broken-ended | dismissed | cut    | cut |
 * | relaying         | ·             | ·        | sending          | flushing      | ·         | broken       | dismissed | cut    | cut |
 * | sending          | ·             | ·        | ·                | flushing-last | ·         | broken-ended | dismissed | cut    | cut |
 * | flushing         | ·             | ·        | flushing-last    | ·             | receiving | broken       | dismissed | cut    | cut |
 * | flushing-last    | ·             | ·        | ·                | ·             | closing   | broken-ended | dismissed | cut    | cut |
 * | receiving        | ·             | ·        | closing          | ·             | ·         | ·            | dismissed | clean  | cut |
 * | closing          | ·             | ·        | ·                | ·             | ·         | ·            | dismissed | clean  | cut |
 * | broken           | ·             | ·        | broken-ended     | ·             | ·         | ·            | dismissed | cut    | cut |
 * | broken-ended     | ·             | ·        | ·                | ·             | ·         | ·            | dismissed | cut    | cut |
 * | dismissed        | ·             | ·        | ·                | ·             | ·         | ·            | ·         | cut    | cut |
 * | clean            | ·             | ·        | ·                | ·             | ·         | ·            | ·         | ·      | ·   |
 * | cut              | ·             | ·        | ·                | ·             | ·         | ·            | ·         | ·      | ·   |
 */

export type LegState =
  /** TCP or TLS is being set up, or it is undecided whether the leg is TLS. */
  | "setting-up"
  | "setting-up-ended"
  /** Can carry bytes, but is not relayed yet. Reading stops, so a peer cannot fill memory while the policy decides. */
  | "waiting"
  | "waiting-ended"
  /** Bytes go both ways. */
  | "relaying"
  /** The peer has ended its direction; bytes still go to it. */
  | "sending"
  /** The other leg's peer has ended its direction; held bytes still go to this one's peer, then our end. */
  | "flushing"
  | "flushing-last"
  /** Our end is sent; bytes still come from the peer. */
  | "receiving"
  /** Both directions have ended; the socket is about to close. */
  | "closing"
  /**
   * A write has failed, usually by an RST. Bytes from before the RST are still read, and an apparent end may not be
   * one.
   */
  | "broken"
  | "broken-ended"
  /** The peer is not served: its data is read and dropped. */
  | "dismissed"
  /** The socket closed after our end was sent. */
  | "clean"
  /** Ended without its orderly end: RST, time-out, refusal. */
  | "cut";

export type LegEvent =
  /** Connected, and for TLS through the handshake. */
  | "ready"
  /** The leg is one of a relay's two. */
  | "joined"
  /** FIN or close_notify has arrived. */
  | "peer-ended"
  /** No more bytes come from the partner, the relay's other leg. */
  | "partner-ended"
  /** The kernel has accepted all held bytes. */
  | "flushed"
  | "write-failed"
  | "dismissed"
  /** The socket has closed without a known failure. */
  | "closed"
  /** The leg was terminated, or its socket closed with an error. */
  | "cut";

/** The state after `event`. An event that is impossible in a state changes nothing. */
export function next(state: LegState, event: LegEvent): LegState {
  return transitions[state][event] ?? state;
}

/** The socket is closed; nothing follows. */
export function isOver(state: LegState): state is "clean" | "cut" {
  return state === "cut" || state === "clean";
}

export function isSettingUp(state: LegState): boolean {
  return state === "setting-up" || state === "setting-up-ended";
}

export function isBroken(state: LegState): boolean {
  return state === "broken" || state === "broken-ended";
}

/** The peer sends no more usable bytes, as far as is known before the socket closes. */
export function hasPeerEnded(state: LegState): boolean {
  return peerEnded.has(state);
}

/** No more bytes come from the relay's other leg, and our direction ends as soon as no byte is held. */
export function isFlushing(state: LegState): boolean {
  return state === "flushing" || state === "flushing-last";
}

/** Our FIN or close_notify is sent, so nothing may be written. */
export function hasSentEnd(state: LegState): boolean {
  return state === "receiving" || state === "closing" || state === "clean";
}

type Row = Readonly<Partial<Record<LegEvent, LegState>>>;

/** A socket that closes before our end was sent does not close cleanly. */
const open = { dismissed: "dismissed", closed: "cut", cut: "cut" } as const;
/** If both sides end at once, the socket closes without an event for the peer's end. */
const ended = { dismissed: "dismissed", closed: "clean", cut: "cut" } as const;

const transitions: Readonly<Record<LegState, Row>> = {
  "setting-up": {
    ...open,
    ready: "waiting",
    "peer-ended": "setting-up-ended",
    "write-failed": "broken",
  },
  "setting-up-ended": { ...open, ready: "waiting-ended", "write-failed": "broken-ended" },
  waiting: {
    ...open,
    joined: "relaying",
    "peer-ended": "waiting-ended",
    "write-failed": "broken",
  },
  "waiting-ended": { ...open, joined: "sending", "write-failed": "broken-ended" },
  relaying: {
    ...open,
    "peer-ended": "sending",
    "partner-ended": "flushing",
    "write-failed": "broken",
  },
  sending: { ...open, "partner-ended": "flushing-last", "write-failed": "broken-ended" },
  flushing: {
    ...open,
    "peer-ended": "flushing-last",
    flushed: "receiving",
    "write-failed": "broken",
  },
  "flushing-last": { ...open, flushed: "closing", "write-failed": "broken-ended" },
  receiving: { ...ended, "peer-ended": "closing" },
  closing: ended,
  broken: { ...open, "peer-ended": "broken-ended" },
  "broken-ended": open,
  dismissed: { closed: "cut", cut: "cut" },
  clean: {},
  cut: {},
};

const peerEnded: ReadonlySet<LegState> = new Set<LegState>([
  "setting-up-ended",
  "waiting-ended",
  "sending",
  "flushing-last",
  "closing",
  "broken-ended",
  "dismissed",
]);
