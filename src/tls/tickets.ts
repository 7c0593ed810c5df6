/**
 * Session tickets from servers: a handshake with one needs no certificates (RFC 8446, 2.2). The session keeps the
 * certificate that the server showed before, which is verified again each time.
 */
import type { TLSOptions } from "bun";

export class Tickets {
  #era: Era | null = null;

  /**
   * The session for one connection. Other options (credentials, policy) begin a new era. `now`: monotonic, in
   * milliseconds.
   */
  session(destination: string, tls: TLSOptions, now: number): Session {
    return new Session(this.#eraOf(tls, now), destination);
  }

  #eraOf(tls: TLSOptions, now: number): Era {
    const before = this.#era;
    if (before !== null && before.tls === tls && now < before.endsAt) return before;
    before?.end();
    const era = new Era(tls, now + eraMsMax);
    this.#era = era;
    return era;
  }
}

/** One connection's use of a destination's tickets, and the tickets that it stores there. */
export class Session {
  readonly #era: Era;
  readonly #destination: string;
  #taken = false;

  constructor(era: Era, destination: string) {
    this.#era = era;
    this.#destination = destination;
  }

  /** True if a ticket was used. */
  get taken(): boolean {
    return this.#taken;
  }

  take(): Buffer | null {
    const ticket = this.#era.take(this.#destination);
    this.#taken = ticket !== null;
    return ticket;
  }

  readonly keep = (ticket: Buffer): void => {
    this.#era.keep(this.#destination, ticket);
  };

  /** A ticket of this destination failed: none is used again in this era. */
  abandon(): void {
    this.#era.abandon(this.#destination);
  }
}

/** The tickets made with the same options. Limited in destinations, in tickets per destination, and in bytes. */
class Era {
  readonly tls: TLSOptions;
  readonly endsAt: number;
  /** Newest last, in the order in which destinations last issued one. Null for an abandoned one. */
  readonly #kept = new Map<string, Buffer[] | null>();
  #bytes = 0;
  #ended = false;

  constructor(tls: TLSOptions, endsAt: number) {
    this.tls = tls;
    this.endsAt = endsAt;
  }

  /** Each is used once, so that an observer cannot link two connections of one client by it (RFC 8446, C.4). */
  take(destination: string): Buffer | null {
    const ticket = this.#kept.get(destination)?.pop() ?? null;
    this.#bytes -= ticket?.length ?? 0;
    return ticket;
  }

  /** Ignores a ticket that arrives after the era's end. */
  keep(destination: string, ticket: Buffer): void {
    const tickets = this.#kept.get(destination) ?? [];
    if (this.#ended || this.#kept.get(destination) === null || ticket.length > ticketBytesMax)
      return;
    tickets.push(ticket);
    this.#bytes += ticket.length;
    if (tickets.length > ticketsMax) this.#bytes -= tickets.shift()?.length ?? 0;
    this.#place(destination, tickets);
  }

  abandon(destination: string): void {
    if (!this.#ended) this.#place(destination, null);
  }

  end(): void {
    this.#ended = true;
    this.#kept.clear();
  }

  #place(destination: string, tickets: Buffer[] | null): void {
    if (tickets === null) this.#drop(destination);
    this.#kept.delete(destination);
    this.#kept.set(destination, tickets);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= destinationsMax && this.#bytes <= bytesMax) return;
      this.#drop(oldest);
    }
  }

  #drop(destination: string): void {
    for (const { length } of this.#kept.get(destination) ?? []) this.#bytes -= length;
    this.#kept.delete(destination);
  }
}

/**
 * The TLS library verifies a chain only in full handshakes, so this limits how late we notice that a CA certificate
 * has expired, or that a server has a new certificate but still accepts the old one's tickets.
 */
export const eraMsMax = 3_600_000;
export const ticketsMax = 32;
export const destinationsMax = 256;
/**
 * Usually 2 KiB: the server's chain and, sealed, ours. detect/client-hello.ts can read a ClientHello with a ticket of
 * this size.
 */
export const ticketBytesMax = 12_288;
export const bytesMax = 4 << 20;
