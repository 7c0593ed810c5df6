/** Errors that carry a stable code: match on the code, the text may change. */

export type ErrorCode =
  | "ABI_MISMATCH"
  | "ADDRESS_INVALID"
  | "CERTIFICATE_INVALID"
  | "CREDENTIALS_INVALID"
  | "DEMO_FAILED"
  | "HTTP2_INVALID"
  | "NETLINK_INVALID"
  | "POLICY_INVALID"
  | "PROXY_HEADER_INVALID"
  | "SPIFFE_ID_INVALID"
  | "START_FAILED"
  | "SYSTEM_CALL"
  | "USAGE";

export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
