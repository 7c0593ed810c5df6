/** An error in a credential file: always with its option and path, and never with any of its contents. */
import { ProxyError } from "../runtime/errors.ts";

/** A file named by the operator. */
export type NamedFile = { readonly option: string; readonly path: string };

export class CredentialsError extends ProxyError {
  /** When the same files may become valid, in milliseconds since 1970; null if never. */
  readonly validFrom: number | null;

  constructor(
    message: string,
    options: ErrorOptions & { readonly validFrom?: number | null } = {},
  ) {
    super("CREDENTIALS_INVALID", message, options);
    this.validFrom = options.validFrom ?? null;
  }
}

/** "--cert /etc/tls.crt: why" */
export function invalid(
  { option, path }: NamedFile,
  why: string,
  options: ErrorOptions & { readonly validFrom?: number | null } = {},
): CredentialsError {
  return new CredentialsError(`${option} ${path}: ${why}`, options);
}
