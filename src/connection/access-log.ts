/** The log line of a finished connection. Pure. */
import { describeIdentity, identityField } from "../identity/certificate.ts";
import { quote } from "../runtime/log/escape.ts";
import type { Fields } from "../runtime/log/format.ts";
import { formatSocketAddress, type SocketAddress } from "../net/address.ts";
import type { Fault } from "../net/fault.ts";
import type { Leg } from "../relay/leg.ts";
import { endingOf, type ConnectionRecord } from "./record.ts";

/** At -v 1: a connection has arrived, and nothing is known of its peer yet. */
export function acceptLine(record: ConnectionRecord): string {
  const from = formatSocketAddress(record.peer);
  return `Accepting connection from ${from} with destination of ${formatSocketAddress(record.original)}`;
}

/** Admitted cleartext, in audit mode. */
export function plainLine({ peer, original }: ConnectionRecord): string {
  const from = formatSocketAddress(peer);
  return `Plaintext connection from ${from} to ${bracketed(original)}: strict would refuse it`;
}

/** The content of the line as separate fields. */
export function accessFields(record: ConnectionRecord, now: number): Fields {
  const { outcome, identity } = record;
  return {
    direction: record.direction,
    from: formatSocketAddress(record.peer),
    to: formatSocketAddress(record.original),
    outcome: outcome.kind,
    peer: identity === null ? null : identityField(identity),
    plaintext: record.plain,
    probe: record.probe?.kind ?? null,
    as: record.as === null ? null : formatSocketAddress(record.as),
    sent: record.downstream.bytesRead,
    received: outcome.kind === "relayed" ? outcome.upstream.bytesRead : 0,
    ms: Math.round(now - record.openedAt),
    reason: reasonOf(record),
  };
}

function reasonOf(record: ConnectionRecord): string {
  const { outcome } = record;
  switch (outcome.kind) {
    case "unsettled":
      return "internal error";
    case "denied":
      return outcome.reason;
    case "refused":
    case "unreached":
      return outcome.detail;
    case "relayed":
      return endText(record, outcome.upstream);
  }
}

/**
 * Explains a peer that leaves silently right after the handshake: in TLS 1.3 a server judges our certificate when the
 * handshake is over for us, and a proxy of ours cannot send the fitting alert.
 */
function endText(record: ConnectionRecord, upstream: Leg): string {
  const { direction, identity } = record;
  const ending = endingOf(record, upstream);
  const isVerified = direction === "outbound" && identity !== null;
  const isMute = upstream.bytesRead === 0 && muteFaults.has(upstream.fault);
  return isVerified && isMute ? `${ending}. ${muteText}` : ending;
}

const muteFaults: ReadonlySet<Fault> = new Set<Fault>(["ECONNRESET", "EPIPE"]);
const muteText =
  "It sent nothing before: it refused our certificate, or its application took no connection; its log says which";

/** One line without its header; `now` on the record's clock, in milliseconds. */
export function accessLine(record: ConnectionRecord, now: number): string {
  const from = formatSocketAddress(record.peer);
  const to = bracketed(record.original);
  const ms = `ms=${Math.round(now - record.openedAt)}`;
  const { outcome } = record;
  switch (outcome.kind) {
    case "unsettled":
      return `Closed connection from ${from} to ${to}: internal error ${ms}`;
    case "denied":
      return `Denied connection from ${from} to ${to}: ${outcome.reason} ${ms}`;
    case "refused":
      return `Refused connection from ${from} to ${to}: ${outcome.detail} ${ms}`;
    case "unreached":
      return `Failed to connect to original destination ${to}: ${outcome.detail} from=${from} ${ms}`;
    case "relayed":
      return [
        `Closed connection from ${from} to ${to}:`,
        `peer=${peerText(record)}`,
        ...(record.as === null ? [] : [`as=${formatSocketAddress(record.as)}`]),
        `sent=${record.downstream.bytesRead}`,
        `received=${outcome.upstream.bytesRead}`,
        ms,
        `end=${quote(endText(record, outcome.upstream), endLengthMax)}`,
      ].join(" ");
  }
}

function peerText({ identity, plain, probe }: ConnectionRecord): string {
  if (identity !== null) return describeIdentity(identity);
  if (probe !== null) return `probe (${probe.kind})`;
  return plain === null ? "-" : `plaintext (${plain})`;
}

/** In brackets as klog's readers expect; an IPv6 address already has them. */
function bracketed(address: SocketAddress): string {
  const text = formatSocketAddress(address);
  return address.family === 4 ? `[${text}]` : text;
}

const endLengthMax = 1024;
