/**
 * Session tickets that servers have given us: a handshake with one does without certificates (RFC 8446, 2.2). The session
 * keeps the one that the server has shown before, which is judged anew each time.
 */
import type { TLSOptions } from "bun";

export class Tickets {
  #era: Era | null = null;

  /** For one connection. Other options (credentials, policy) begin a new era. `now`: monotonic, in milliseconds. */
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

/** What one connection takes of a destination's tickets, and what it leaves there. */
export class Session {
  readonly #era: Era;
  readonly #destination: string;
  #taken = false;

  constructor(era: Era, destination: string) {
    this.#era = era;
    this.#destination = destination;
  }

  /** Whether there was one to take. */
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

  /** A ticket of this destination's was of no use: there are none in this era any more. */
  abandon(): void {
    this.#era.abandon(this.#destination);
  }
}

/** The tickets that were made with the same options. Bounded by destinations, for each by how many, and by bytes. */
class Era {
  readonly tls: TLSOptions;
  readonly endsAt: number;
  /** Newest last, in the order in which destinations have last given one. Null for one that has been abandoned. */
  readonly #kept = new Map<string, Buffer[] | null>();
  #bytes = 0;
  #ended = false;

  constructor(tls: TLSOptions, endsAt: number) {
    this.tls = tls;
    this.endsAt = endsAt;
  }

  /** Each is given once, so that nobody on the wire can tell by it that two connections have one client (RFC 8446, C.4). */
  take(destination: string): Buffer | null {
    const ticket = this.#kept.get(destination)?.pop() ?? null;
    this.#bytes -= ticket?.length ?? 0;
    return ticket;
  }

  /** One that comes when the era has ended is late. */
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
 * The TLS library looks at a chain in full handshakes only, so this is how late we notice that an authority's certificate has
 * expired, or that a server has another certificate and still takes the tickets of the one before.
 */
export const eraMsMax = 3_600_000;
export const ticketsMax = 32;
export const destinationsMax = 256;
/** Usually it is 2 KiB: the server's chain and, sealed, ours. A ClientHello with it is one that detect/client-hello.ts reads. */
export const ticketBytesMax = 12_288;
export const bytesMax = 4 << 20;
