/** Errors that carry a stable code: match on the code, the text may change. */

export type ErrorCode = "ADDRESS_INVALID" | "ABI_MISMATCH" | "SYSTEM_CALL";

export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
