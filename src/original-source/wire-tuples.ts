/** Inbound connections by their addresses and ports on the wire, which no other connection here can share. */
import { addressKey, type SocketAddress } from "../net/address.ts";

export class WireTuples {
  /** How often each is held: a new one may come before the end of the last one is known. */
  readonly #held = new Map<string, number>();

  has(client: SocketAddress, original: SocketAddress): boolean {
    return this.#held.has(keyOf(client, original));
  }

  /** Held until the returned function is called. */
  hold(client: SocketAddress, original: SocketAddress): () => void {
    const key = keyOf(client, original);
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(key) ?? 1) - 1;
      if (left === 0) this.#held.delete(key);
      else this.#held.set(key, left);
    };
  }
}

function keyOf(client: SocketAddress, original: SocketAddress): string {
  return `${addressKey(client)} ${addressKey(original)}`;
}
