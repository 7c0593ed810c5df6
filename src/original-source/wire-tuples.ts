/** Inbound connections by their addresses and ports on the wire, which no other connection here can share. */
import { addressKey, type SocketAddress } from "../net/address.ts";

export class WireTuples {
  /** How often each is there: a new one may come before the end of the last one is known. */
  readonly #counts = new Map<string, number>();

  has(client: SocketAddress, original: SocketAddress): boolean {
    return this.#counts.has(keyOf(client, original));
  }

  /** Adds it until the returned function is called. */
  add(client: SocketAddress, original: SocketAddress): () => void {
    const key = keyOf(client, original);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#counts.get(key) ?? 1) - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    };
  }
}

function keyOf(client: SocketAddress, original: SocketAddress): string {
  return `${addressKey(client)} ${addressKey(original)}`;
}
