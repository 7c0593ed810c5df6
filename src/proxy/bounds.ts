/** The limits from the machine's descriptors and ports, and the source ports of connections to peers. */

import { descriptorReserve, startDescriptors, type Config, type Limits } from "../config.ts";
import { ProxyError } from "../runtime/errors.ts";
import { Memory } from "../connection/memory.ts";
import type { Log } from "../runtime/log/log.ts";
import { descriptorsMax } from "../native/limits.ts";
import { SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import {
  noWirePorts,
  openWirePorts,
  planWirePorts,
  reservedText,
  type WirePorts,
} from "../net/wire-ports.ts";
import { connectionsBound } from "../connection/admission.ts";

export type StartBounds = { readonly wire: WirePorts; readonly limits: Limits };

/** Source ports of connections to peers, and limits within the available descriptors. Throws START_FAILED. */
export function boundsOf(config: Config, undo: DisposableStack): StartBounds {
  const wire = openWirePorts(planWirePorts(config.wirePorts), descriptorsMax() / reservingShare);
  undo.defer(wire.close);
  const connectionsMax = boundOf(config.limits, wire.reserved);
  return { wire, limits: { ...config.limits, connectionsMax } };
}

/**
 * Whether the descriptors that a start needs are free: others may be open already, inherited or in the whole machine. A
 * start without them would fail after its rules were applied. Throws START_FAILED.
 */
export function assertDescriptors(): void {
  using opened = new DisposableStack();
  for (let count = 0; count < startDescriptors; count += 1)
    try {
      opened.adopt(native.openStream(native.addressFamily.inet), native.close);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const text = `a start needs ${startDescriptors} free descriptors, and there are ${count}: ${error.message}`;
      throw new ProxyError("START_FAILED", text, { cause: error });
    }
}

/** Throws START_FAILED if the descriptors are not enough for one connection. */
function boundOf(limits: Limits, reserved: number): number {
  const descriptors = descriptorsMax() - reserved;
  const bound = connectionsBound(limits.connectionsMax, descriptors, descriptorReserve);
  if (bound > 0) return bound;
  const text = `only ${descriptors} descriptors are allowed: raise the limit (ulimit -n, LimitNOFILE=)`;
  throw new ProxyError("START_FAILED", text);
}

export function reportBounds(
  { wire, limits, memory }: StartBounds & { readonly memory: Memory },
  config: Config,
  log: Log,
): void {
  memory.introduce();
  reportWirePorts(wire, log);
  const [bound, wanted] = [limits.connectionsMax, config.limits.connectionsMax];
  if (bound === wanted) return;
  const text = `${bound} connections at most, not ${wanted} (--connections)`;
  log.write("I", "proxy", `${text}: ${descriptorsMax()} descriptors are allowed (ulimit -n)`);
}

function reportWirePorts({ rotation, reserved }: WirePorts, log: Log): void {
  if (rotation.size === 0) log.write("W", "proxy", noWirePorts);
  else if (reserved > 0) log.write("I", "proxy", reservedText(rotation.size));
}

/** The share of the descriptors for reserving ports. */
const reservingShare = 8;
