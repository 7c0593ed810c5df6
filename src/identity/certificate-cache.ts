/** Caches parsed certificates: a peer shows the same one at each connection. */
import { parseCertificate, type PeerCertificate } from "./certificate.ts";

/** The parsed data depends only on a certificate's bytes. Its holder and its validity are judged again each time. */
export class CertificateCache {
  /** Keyed by all of its bytes, in insertion order. */
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

/** An elliptic-curve certificate has 600 bytes, an RSA one twice as many. */
const bytesMax = 4096;
export const certificatesMax = 256;
