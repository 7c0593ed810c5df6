/** TLS toward the peer that the application meant to reach. */
import type { TLSOptions } from "bun";

import type { Limits } from "../config.ts";
import type { PeerIdentity } from "../identity/certificate.ts";
import { formatSocketAddress } from "../net/address.ts";
import { abandon, settle, tryDial, watch } from "../net/dial.ts";
import { describeFault } from "../net/fault.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Stream } from "../net/stream.ts";
import type { HandshakeGate } from "./handshake-gate.ts";
import { judgePeer } from "./peer.ts";

export type Originated =
  | { readonly kind: "established"; readonly stream: Stream; readonly identity: PeerIdentity }
  | { readonly kind: "failed"; readonly detail: string };

export type Originator = {
  readonly tls: TLSOptions;
  readonly mark: number;
  readonly limits: Limits;
  readonly gate: HandshakeGate;
};

/**
 * Reaches the original destination over mutual TLS. The TCP connection is begun at once; only the handshake
 * waits for its turn. Given up when `downstream` goes. Every failure has words for the log.
 */
export async function originate(
  original: OriginalDestination,
  downstream: Stream,
  originator: Originator,
): Promise<Originated> {
  const dialing = tryDial(original, originator.mark);
  if (typeof dialing === "string") return failed(dialing);

  const lease = await originator.gate.enter(formatSocketAddress(original));
  if (downstream.closed) {
    lease.release();
    abandon(dialing);
    return failed(describeFault("CANCELED"));
  }
  const stream = watch(dialing, originator.tls);
  const readiness = await settle(stream, downstream, originator.limits);
  lease.release();
  if (readiness.kind === "closed") return failed(describeFault(readiness.fault));

  const verdict = judgePeer(stream, "server", readiness.handshakeError, original);
  if (verdict.kind === "accept") return { kind: "established", stream, identity: verdict.identity };
  stream.terminate("");
  return failed(verdict.detail);
}

function failed(detail: string): Originated {
  return { kind: "failed", detail };
}
