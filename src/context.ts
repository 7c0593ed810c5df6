/** What a connection needs of the process. */
import type { Ledger } from "./accounting/ledger.ts";
import type { Limits } from "./config.ts";
import type { Originator } from "./tls/originate.ts";

export type Context = {
  readonly ledger: Ledger;
  readonly originator: Originator;
  readonly limits: Limits;
  /** The proxy's own fwmark. */
  readonly mark: number;
};
