/** Connections from before the rules that are in cleartext where the rules would allow none: left, reset, or blocked. */
import type { Kernel } from "../../netlink/socket.ts";
import { resetSockets, theirSockets } from "./reset.ts";
import type { Installed } from "../kernel/install.ts";
import { keyOf, keysOf, type Tuple } from "../kernel/open-before.ts";

/** What becomes of them. */
export type PreexistingMode = "leave" | "reset";

/** Which way a connection goes that would be refused in cleartext now; null for one that would not. */
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
 * Right after the rules were put in place. What cannot be reset is taken out of the set of connections from before the
 * rules: its answers are diverted and reach nobody, because cleartext is worse than a connection that stalls. Throws
 * START_FAILED.
 */
export function settlePreexisting(
  installed: Installed,
  { mode, refused, kernel, sockets = theirSockets }: Settling,
): Preexisting {
  if (!installed.isOurs) return { ...nonePreexisting, left: inCleartext(sockets(), refused) };
  const exempt = keysOf(installed.openBefore);
  if (exempt.size === 0) return nonePreexisting;
  const found = sockets().filter((one) => exempt.has(keyOf(one)) && refused(one) !== null);
  if (mode === "leave" || found.length === 0) return { ...nonePreexisting, left: found };
  const end = resetSockets(found, kernel);
  if (end.refused.length > 0) installed.forget(end.refused);
  return { left: [], reset: end.ended, blocked: end.refused, refusal: end.refusal };
}

/** Where others have put the rules in place nobody says which were exempt: all that were not diverted. */
function inCleartext(all: readonly Tuple[], refused: RefusedDirection): readonly Tuple[] {
  // What no process has accepted yet may be on its way to us.
  return all.filter((one) => one.inode !== "0" && refused(one) !== null);
}

/** For handing some over to another process: "INODE SOURCE:PORT DESTINATION:PORT", addresses in hex. */
export function packTuples(all: readonly Tuple[]): readonly string[] {
  return all
    .slice(0, packedMax)
    .map(
      ({ inode, source, sourcePort, destination, destinationPort }) =>
        `${inode} ${source.toHex()}:${sourcePort} ${destination.toHex()}:${destinationPort}`,
    );
}

/** What `packTuples` made; `uid` is not kept. */
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
/** They go through the environment, a variable of which the kernel bounds to 128 KiB: execve(2). */
const packedMax = 512;

type Settling = {
  readonly mode: PreexistingMode;
  readonly refused: RefusedDirection;
  readonly kernel?: Kernel;
  readonly sockets?: () => readonly Tuple[];
};
