/** The deadline of a TLS handshake, and the kernel's data on the connection when it expired. */
import { Deadline } from "../runtime/deadline.ts";
import { SystemCallError } from "../native/errno.ts";
import { readTcpInfo } from "../native/tcp-info.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import { describeHang, type Hung } from "../net/hang.ts";
import { peerAddress } from "../net/original-destination.ts";
import type { Leg } from "./leg.ts";

/** Ends the leg by RST if its handshake takes longer than `handshakeMsMax`. */
export class HandshakeDeadline {
  readonly #leg: Leg;
  readonly #role: Hung["role"];
  readonly #deadline: Deadline;
  #hung: Hung | null = null;

  constructor(leg: Leg, handshakeMsMax: number, role: Hung["role"]) {
    this.#leg = leg;
    this.#role = role;
    this.#deadline = new Deadline(handshakeMsMax, () => {
      this.expire();
    });
  }

  /** Ends the handshake's time, possibly before the deadline. */
  expire(): void {
    this.#hung = look(this.#leg.socket.fd, this.#role);
    this.#leg.terminate("HANDSHAKE_TIMEOUT");
  }

  clear(): void {
    this.#deadline.clear();
  }

  /** What ended the leg, in words; for a handshake that hung, with the possible cause. */
  describe(fault: Fault): string {
    if (this.#hung === null) return describeFault(fault);
    return `TLS handshake timed out: ${describeHang(this.#hung)}`;
  }
}

/** Null for a connection that is already closed. */
function look(fd: number, role: Hung["role"]): Hung | null {
  try {
    return { info: readTcpInfo(fd), peer: peerAddress(fd), role };
  } catch (error) {
    if (error instanceof SystemCallError) return null;
    throw error;
  }
}
