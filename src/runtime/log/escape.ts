/** Text from outside, as one line that forges nothing: for the log, for terminals and for messages. Pure. */

/**
 * Replaces all that could end a line, move a terminal's cursor, reorder what is read or be invisible: the controls of C0 and C1,
 * format characters (the bidirectional ones of CVE-2021-42574 and those of no width among them), separators other than a space,
 * private and unassigned code points and lone surrogates. Written as JSON escapes them, so that quoted text can be read back.
 */
export function escapeText(text: string): string {
  return harmless.test(text) ? text : text.replaceAll(unsafe, escapeCodes);
}

/** As `escapeText`, for text of several lines. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/** Escaped once and in quotes: `JSON.parse` gives it back, up to `lengthMax` UTF-16 units and then an ellipsis. */
export function quote(text: string, lengthMax = quotedLengthMax): string {
  return escapeText(JSON.stringify(shorten(text, lengthMax)));
}

/** As `quote`; names that hold nothing but letters, digits and what addresses, IDs and paths have stay as they are. */
export function quoteUnlessPlain(text: string, lengthMax = quotedLengthMax): string {
  return text.length <= lengthMax && plain.test(text) ? text : quote(text, lengthMax);
}

/** At most `lengthMax` UTF-16 units, no character cut in two, and an ellipsis where something is missing. */
export function shorten(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const isCut = (text.codePointAt(lengthMax - 1) ?? 0) > 0xff_ff;
  return `${text.slice(0, isCut ? lengthMax - 1 : lengthMax)}…`;
}

/** The code units one by one: a pair of surrogates is two escapes, as in JSON (RFC 8259, 7). */
function escapeCodes(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

const quotedLengthMax = 120;
/** Nearly every line: looked at first, because it is quick. */
const harmless = /^[ -~]*$/;
const unsafe = /(?! )[\p{C}\p{Z}]/gu;
const plain = /^[\w.:/@*+-]+$/;
