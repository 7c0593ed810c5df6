/** What a connection needs of the process. */
import type { TLSOptions } from "bun";

import type { Ledger } from "./accounting/ledger.ts";
import type { Limits } from "./config.ts";
import type { SocketForm } from "./net/socket-form.ts";
import type { Rules } from "./policy/rules.ts";
import type { Originator } from "./tls/originate.ts";

export type Context = {
  readonly ledger: Ledger;
  readonly originator: Originator;
  readonly limits: Limits;
  /** Those that hold now: asked for every connection, because the policy changes. */
  readonly rules: () => Rules;
  /** For what is terminated here, by the credentials in use now. */
  readonly terminating: () => TLSOptions;
  /** Of every socket of the proxy. */
  readonly form: SocketForm;
};
