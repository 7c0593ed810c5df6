/** Preexisting cleartext connections that the rules would not allow: left, reset, or blocked. */
import type { Kernel } from "../../netlink/socket.ts";
import { resetSockets, theirSockets } from "./reset.ts";
import type { Installed } from "../kernel/install.ts";
import { keyOf, preexistingKeys } from "../kernel/open-before.ts";
import { type Tuple } from "../kernel/proc-tcp.ts";

/** How they are treated. */
export type PreexistingMode = "leave" | "reset";

/** The direction of a connection that would now be refused in cleartext; null for one that would not. */
export type RefusedDirection = (tuple: Tuple) => "inbound" | "outbound" | null;

export type Preexisting = {
  /** Still open in cleartext. */
  readonly left: readonly Tuple[];
  readonly reset: readonly Tuple[];
  /** The kernel did not reset them; they are no longer exempt from the rules. */
  readonly blocked: readonly Tuple[];
  /** Why the kernel did not. */
  readonly refusal: string | null;
};

export const nonePreexisting: Preexisting = { left: [], reset: [], blocked: [], refusal: null };

/**
 * Called right after the rules were applied. A connection that cannot be reset is removed from the set of preexisting
 * connections: its answers are then diverted and reach no socket, because a stalled connection is better than
 * cleartext. Throws START_FAILED.
 */
export function leaveOrReset(
  installed: Installed,
  { mode, refused, kernel, sockets = theirSockets }: Handling,
): Preexisting {
  if (!installed.isOurs) return { ...nonePreexisting, left: inCleartext(sockets(), refused) };
  const exempt = preexistingKeys(installed.openBefore);
  if (exempt.size === 0) return nonePreexisting;
  const found = sockets().filter((one) => exempt.has(keyOf(one)) && refused(one) !== null);
  if (mode === "leave" || found.length === 0) return { ...nonePreexisting, left: found };
  const end = resetSockets(found, kernel);
  if (end.refused.length > 0) installed.forget(end.refused);
  return { left: [], reset: end.ended, blocked: end.refused, refusal: end.refusal };
}

/** If others have applied the rules, it is unknown which were exempt: all that were not diverted. */
function inCleartext(all: readonly Tuple[], refused: RefusedDirection): readonly Tuple[] {
  // A connection that no process has accepted yet may be on its way to us.
  return all.filter((one) => one.inode !== "0" && refused(one) !== null);
}

/** Encodes them for another process: "INODE SOURCE:PORT DESTINATION:PORT", addresses in hex. */
export function packTuples(all: readonly Tuple[]): readonly string[] {
  return all
    .slice(0, packedMax)
    .map(
      ({ inode, source, sourcePort, destination, destinationPort }) =>
        `${inode} ${source.toHex()}:${sourcePort} ${destination.toHex()}:${destinationPort}`,
    );
}

/** Decodes the output of `packTuples`; without `uid`. */
export function unpackTuples(packed: readonly string[]): readonly Tuple[] {
  return packed.flatMap((text) => {
    const [, inode, source, sourcePort, destination, destinationPort] = packedForm.exec(text) ?? [];
    if (inode === undefined || source === undefined || destination === undefined) return [];
    const [ours, theirs] = [source, destination].map((hex) => Uint8Array.fromHex(hex));
    if (ours === undefined || theirs === undefined) return [];
    const ports = { sourcePort: Number(sourcePort), destinationPort: Number(destinationPort) };
    return [{ inode, uid: 0, isOpening: false, source: ours, destination: theirs, ...ports }];
  });
}

const packedForm = /^(\d+) ((?:[0-9a-f]{8}){1,4}):(\d{1,5}) ((?:[0-9a-f]{8}){1,4}):(\d{1,5})$/;
/** They are passed in an environment variable, which the kernel limits to 128 KiB: execve(2). */
const packedMax = 512;

type Handling = {
  readonly mode: PreexistingMode;
  readonly refused: RefusedDirection;
  readonly kernel?: Kernel;
  readonly sockets?: () => readonly Tuple[];
};
