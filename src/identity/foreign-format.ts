/** Recognises a file that contains no PEM of the wanted kind, and names the command that converts it. Pure. */

/** `text`: the file's bytes as latin1. Null for an unknown format. */
export function foreignFormat(text: string, labels: readonly string[]): string | null {
  for (const [pattern, words] of beginnings) if (pattern.test(text)) return words;
  if (text.startsWith("\u0030") && isDer(text)) return derWords(text);
  for (const label of labels) {
    const words = labelWords.get(label);
    if (words !== undefined) return words;
  }
  return null;
}

/** A SEQUENCE whose length is about that of the file: X.690, 8.1.3. */
function isDer(text: string): boolean {
  return text.length > 8 && text.charCodeAt(1) >= 0x80 && text.charCodeAt(1) <= 0x84;
}

/** PKCS #12 begins with version 3, and PKCS #8 with version 0: RFC 7292, 4; RFC 5958, 2. */
function derWords(text: string): string {
  const inner = text.slice(2 + (text.charCodeAt(1) & 0x7f));
  if (inner.startsWith("\u0002\u0001\u0003")) return pkcs12;
  if (inner.startsWith("\u0002\u0001"))
    return "it is a key in DER, not PEM: openssl pkey -inform DER -in FILE -out NEW";
  return "it is DER, not PEM: openssl x509 -inform DER -in FILE -out NEW";
}

const pkcs12 = "it is a PKCS#12 file, not PEM: openssl pkcs12 -in FILE -nodes -out NEW converts it";
const beginnings: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:\u00FF\u00FE|\u00FE\u00FF)/,
    "it is UTF-16, as some editors write: save it as UTF-8 or ASCII",
  ],
  [
    /^\u00FE\u00ED\u00FE\u00ED/,
    "it is a Java key store: keytool -importkeystore to PKCS#12, then openssl pkcs12",
  ],
  [/^\s*LS0tLS1CRUdJTi/, "it is base64 of PEM, as in a Secret's data: decode it once (base64 -d)"],
  [
    /-----BEGIN [A-Z0-9 ]+-----\\n/,
    String.raw`its line ends are written as \n: they must be line ends`,
  ],
];
const labelWords = new Map<string, string>([
  ["PKCS7", "it is PKCS#7: openssl pkcs7 -in FILE -print_certs -out NEW"],
  ["CMS", "it is CMS: openssl pkcs7 -in FILE -print_certs -out NEW"],
  ["CERTIFICATE REQUEST", "it is a request for a certificate, which a CA has to sign first"],
  ["NEW CERTIFICATE REQUEST", "it is a request for a certificate, which a CA has to sign first"],
  ["PUBLIC KEY", "it is a public key only"],
  [
    "OPENSSH PRIVATE KEY",
    "it is a key of OpenSSH's: ssh-keygen -p -m PKCS8 -f FILE rewrites it as PEM",
  ],
  ["PRIVATE KEY", "it is a private key (--key), no certificate"],
  ["EC PRIVATE KEY", "it is a private key (--key), no certificate"],
  ["RSA PRIVATE KEY", "it is a private key (--key), no certificate"],
  ["CERTIFICATE", "it is a certificate (--cert), no private key"],
]);
