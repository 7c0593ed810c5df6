/** What Bun 1.4.5 has and its types do not name: sockets made from descriptors, TLS versions. */
import type { FdSocketOptions, SocketListener } from "bun";

declare module "bun" {
  interface Socket<Data> {
    /** -1 once closed. */
    readonly fd: number;
  }

  interface TLSOptions {
    /** Wire form: 0x0303 is TLS 1.2, 0x0304 TLS 1.3. */
    minVersion?: number;
  }

  /** Adopts a bound, listening socket, with TLS too. */
  function listen<Data = undefined>(options: FdSocketOptions<Data>): SocketListener<Data>;
  /** Adopts a socket that is connected or connecting. */
  function connect<Data = undefined>(options: FdSocketOptions<Data>): Promise<Socket<Data>>;
}
