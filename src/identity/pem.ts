/** PEM blocks (RFC 7468) in all spellings of editors, key stores and tools, each with its line. Pure. */

export type PemBlock = {
  /** "CERTIFICATE", "EC PRIVATE KEY": the text after BEGIN. */
  readonly label: string;
  /** The line of its BEGIN, from 1. */
  readonly line: number;
  /** Without header fields such as Proc-Type; null if the rest is not base64, or the block has no end. */
  readonly bytes: Uint8Array | null;
  /** Its header says that it is encrypted: RFC 1421, 4.6.1.1. */
  readonly encrypted: boolean;
};

/**
 * All blocks of a file. `text` is the file's bytes as latin1: text between blocks may have any encoding. Accepts byte
 * order marks, any line ends, trailing white space, base64 of any width, a block that begins on the line where
 * another ends, and text around blocks, even with BEGIN in the middle of a line.
 */
export function pemBlocks(text: string): readonly PemBlock[] {
  const plain = text.replaceAll(byteOrderMark, "").replaceAll(/\r\n?/g, "\n");
  const begins = [...plain.matchAll(begin)];
  const blocks: PemBlock[] = [];
  let line = 1;
  let counted = 0;
  for (const [index, match] of begins.entries()) {
    line += newlines(plain.slice(counted, match.index));
    counted = match.index;
    const [whole, label = ""] = match;
    const body = plain.slice(match.index + whole.length, begins[index + 1]?.index);
    blocks.push(blockOf(label, line, body));
  }
  return blocks;
}

/** PEM of one block: RFC 7468, 3. */
export function pemOf(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join("\n");
}

function blockOf(label: string, line: number, rest: string): PemBlock {
  const end = rest.indexOf(`-----END ${label}-----`);
  const body = end === -1 ? "" : rest.slice(0, end);
  const header = headerOf(body);
  const bytes = end === -1 ? null : base64Of(body.slice(header.length));
  return { label, line, bytes, encrypted: encrypted.test(header) };
}

/** Fields and the empty line after them: RFC 1421, 4.4. */
function headerOf(body: string): string {
  if (!/^\s*[A-Za-z-]+:/.test(body)) return "";
  const end = body.search(/\n[ \t]*\n/);
  return end === -1 ? body : body.slice(0, end);
}

function base64Of(text: string): Uint8Array | null {
  const packed = text.replaceAll(/\s/g, "");
  if (packed === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return null;
  return new Uint8Array(Buffer.from(packed, "base64"));
}

function newlines(text: string): number {
  return text.split("\n").length - 1;
}

/** Of UTF-8, read as latin1. */
const byteOrderMark = "\u00EF\u00BB\u00BF";
/** At the start of a line, or right after another block. */
const begin =
  /(?:^[ \t]*|(?<=-----END [A-Z0-9 ]{1,40}-----)[ \t]*)-----BEGIN ([A-Z0-9 ]{1,40})-----/gm;
const encrypted = /^Proc-Type:.*ENCRYPTED/im;
