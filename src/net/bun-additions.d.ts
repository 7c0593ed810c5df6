/** What Bun 1.4.5 has and its types do not name: sockets made from descriptors, TLS versions. */
import type { FdSocketOptions, SocketListener } from "bun";

declare module "bun" {
  interface Socket<Data> {
    /** -1 once closed. */
    readonly fd: number;
    /** `abbreviated` false: with the certificates above it, as the peer has sent them (the documentation says true). */
    getPeerCertificate(abbreviated: boolean): CertificateLink | undefined;
  }

  type CertificateLink = {
    readonly raw?: Uint8Array;
    readonly issuerCertificate?: CertificateLink;
  };

  interface SocketHandler<Data> {
    /** Of a TLS client: a session ticket for `setSession` has come (RFC 8446, 4.6.1). */
    session?: (socket: Socket<Data>, ticket: Buffer) => void;
    /**
     * Of a TLS listener: which of the protocols that the client offers (RFC 7301, wire form) is spoken; false for none,
     * as if there were no ALPN; undefined refuses the client.
     */
    alpnCallback?: (
      socket: Socket<Data>,
      serverName: string | undefined,
      offered: Uint8Array,
    ) => string | false | undefined;
  }

  interface TLSOptions {
    /** Wire form: 0x0303 is TLS 1.2, 0x0304 TLS 1.3. */
    minVersion?: number;
    /** Signatures that are asked for and taken in a handshake, as OpenSSL names them, the first one preferred. */
    sigalgs?: string;
  }

  /** Adopts a bound, listening socket, with TLS too. */
  function listen<Data = undefined>(options: FdSocketOptions<Data>): SocketListener<Data>;
  /** Adopts a socket that is connected or connecting. */
  function connect<Data = undefined>(options: FdSocketOptions<Data>): Promise<Socket<Data>>;
}
