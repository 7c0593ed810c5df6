/** Certificates that were read before: a peer shows the same one at each connection. */
import { parseCertificate, type PeerCertificate } from "./certificate.ts";

/** What was read of a certificate depends on its bytes alone. Who its holder is, and whether it is still good, is asked anew. */
export class CertificateCache {
  /** By all of its bytes, in the order in which they were read. */
  readonly #known = new Map<string, PeerCertificate>();

  /** Throws CERTIFICATE_INVALID. */
  read(der: Uint8Array): PeerCertificate {
    if (der.length > bytesMax) return parseCertificate(der);
    const key = Buffer.from(der.buffer, der.byteOffset, der.length).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const certificate = parseCertificate(der);
    this.#add(key, certificate);
    return certificate;
  }

  #add(key: string, certificate: PeerCertificate): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= certificatesMax && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, certificate);
  }
}

/** An elliptic curve's is of 600 bytes, an RSA one of twice as many. */
const bytesMax = 4096;
export const certificatesMax = 256;
