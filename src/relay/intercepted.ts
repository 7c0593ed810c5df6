/** One diverted connection, as a leg. */
import type { SocketAddress } from "../net/address.ts";
import type { Accepted } from "../net/listener.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Held } from "./held.ts";
import { Leg } from "./leg.ts";

export type Intercepted = {
  /** Paused, or TLS and about to start its handshake. */
  readonly leg: Leg;
  /** Not yet decided whether it is TLS: `startPlain`, `startScreened` or `startTls` follows. */
  readonly undecided: boolean;
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
};

/** Makes a leg of an accepted connection. `held`: the sum that its held bytes are added to. */
export function intercept({ socket, kind, peer, original }: Accepted, held: Held): Intercepted {
  const leg = new Leg(socket, kind === "plain" ? "waiting" : "setting-up", held);
  return { leg, undecided: kind === "undecided", peer, original };
}
