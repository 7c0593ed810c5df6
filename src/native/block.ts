/** Strings in the shim's format: one after the other, each ended by NUL. */

/** Never empty: bun:ffi has no address for an empty array. */
export function block(strings: readonly string[]): Uint8Array {
  return new TextEncoder().encode(strings.map((text) => `${text.replaceAll("\0", "")}\0`).join(""));
}
