/** One diverted connection, as a leg. */
import type { SocketAddress } from "../net/address.ts";
import type { Accepted } from "../net/listener.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Held } from "./held.ts";
import { Leg } from "./leg.ts";

export type Intercepted = {
  /** Paused, or of TLS and about to shake hands. */
  readonly leg: Leg;
  /** It is not known yet whether it is to be TLS: `startPlain`, `startScreened` or `startTls` follows. */
  readonly undecided: boolean;
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
};

/** Makes a leg of what a listener has accepted. `held`: where bytes count that it holds. */
export function intercept({ socket, kind, peer, original }: Accepted, held: Held): Intercepted {
  const leg = new Leg(socket, kind === "plain" ? "waiting" : "setting-up", held);
  return { leg, undecided: kind === "undecided", peer, original };
}
