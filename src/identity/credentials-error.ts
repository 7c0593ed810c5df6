/** What is wrong with a credential file: always with its option and path, and never with a word of the file. */
import { ProxyError } from "../runtime/errors.ts";

/** A file that the operator has named. */
export type NamedFile = { readonly option: string; readonly path: string };

export class CredentialsError extends ProxyError {
  /** Milliseconds since 1970 from which on the same files may be good; null if time does not mend them. */
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
