/** Features of Bun 1.4.5 that its types lack: sockets made from descriptors, TLS versions. */
import type { FdSocketOptions, SocketListener } from "bun";

declare module "bun" {
  interface Socket<Data> {
    /** -1 once closed. */
    readonly fd: number;
    /** `abbreviated` false: includes the issuers' certificates, as sent by the peer (the documentation says true). */
    getPeerCertificate(abbreviated: boolean): CertificateLink | undefined;
  }

  type CertificateLink = {
    readonly raw?: Uint8Array;
    readonly issuerCertificate?: CertificateLink;
  };

  interface SocketHandler<Data> {
    /** For a TLS client: a session ticket for `setSession` has arrived (RFC 8446, 4.6.1). */
    session?: (socket: Socket<Data>, ticket: Buffer) => void;
    /**
     * For a TLS listener: chooses one of the client's protocols (RFC 7301, wire format); false for none, as if there
     * were no ALPN; undefined refuses the client.
     */
    alpnCallback?: (
      socket: Socket<Data>,
      serverName: string | undefined,
      offered: Uint8Array,
    ) => string | false | undefined;
  }

  interface TLSOptions {
    /** Wire format: 0x0303 is TLS 1.2, 0x0304 TLS 1.3. */
    minVersion?: number;
    /** Signature algorithms requested and accepted in a handshake, under OpenSSL's names, best first. */
    sigalgs?: string;
  }

  /** Adopts a bound, listening socket, with TLS too. */
  function listen<Data = undefined>(options: FdSocketOptions<Data>): SocketListener<Data>;
  /** Adopts a socket that is connected or connecting. */
  function connect<Data = undefined>(options: FdSocketOptions<Data>): Promise<Socket<Data>>;
}
