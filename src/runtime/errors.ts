/** Errors that carry a stable code: match on the code, the text may change. */

export const errorCodes = [
  "ABI_MISMATCH",
  "ADDRESS_INVALID",
  "CERTIFICATE_INVALID",
  "CREDENTIALS_INVALID",
  "DEMO_FAILED",
  "HTTP2_INVALID",
  "NETLINK_INVALID",
  "POLICY_INVALID",
  "PROXY_HEADER_INVALID",
  "RESTART_NEEDED",
  "SPIFFE_ID_INVALID",
  "START_FAILED",
  "SYSTEM_CALL",
  "USAGE",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;
  /** The single errors, if there are several. */
  readonly parts: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & { readonly parts?: readonly string[] },
  ) {
    super(message, options);
    this.code = code;
    this.parts = options?.parts ?? [];
  }
}
