/** What a connection needs of the process. */
import type { Ledger } from "./accounting/ledger.ts";
import type { Limits } from "./config.ts";
import type { SocketForm } from "./net/socket-form.ts";
import type { Originator } from "./tls/originate.ts";
import type { Expectation } from "./tls/verify.ts";

export type Context = {
  readonly ledger: Ledger;
  readonly originator: Originator;
  readonly limits: Limits;
  /** Who may come. */
  readonly expectClient: Expectation;
  /** Of every socket of the proxy. */
  readonly form: SocketForm;
};
