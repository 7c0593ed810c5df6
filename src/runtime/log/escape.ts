/** Turns foreign text into one line that forges nothing: for the log, terminals and messages. Pure. */

/**
 * Replaces everything that could end a line, move a terminal's cursor, reorder the text or be invisible: C0 and C1
 * controls, format characters (including the bidirectional ones of CVE-2021-42574 and those without width),
 * separators other than a space, private and unassigned code points and lone surrogates. The escapes are JSON's, so
 * that quoted text can be read back.
 */
export function escapeText(text: string): string {
  return harmless.test(text) ? text : text.replaceAll(unsafe, escapeCodes);
}

/** Like `escapeText`, for text of several lines. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/** Escaped once and quoted: `JSON.parse` returns the text, up to `lengthMax` UTF-16 units and then an ellipsis. */
export function quote(text: string, lengthMax = quotedLengthMax): string {
  return escapeText(JSON.stringify(shorten(text, lengthMax)));
}

/**
 * Like `quote`, but leaves names alone that contain only letters, digits and characters of addresses, IDs and paths.
 */
export function quoteUnlessPlain(text: string, lengthMax = quotedLengthMax): string {
  return text.length <= lengthMax && plain.test(text) ? text : quote(text, lengthMax);
}

/** At most `lengthMax` UTF-16 units, without cutting a character in two, and an ellipsis if something is missing. */
export function shorten(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const isCut = (text.codePointAt(lengthMax - 1) ?? 0) > 0xff_ff;
  return `${text.slice(0, isCut ? lengthMax - 1 : lengthMax)}…`;
}

/** Escapes each code unit: a surrogate pair becomes two escapes, as in JSON (RFC 8259, 7). */
function escapeCodes(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

const quotedLengthMax = 120;
/** Nearly every line matches: tested first, because it is fast. */
const harmless = /^[ -~]*$/;
const unsafe = /(?! )[\p{C}\p{Z}]/gu;
const plain = /^[\w.:/@*+-]+$/;
