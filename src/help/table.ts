/**
 * The command line as a table, from which help, completions and the man page are generated. cli/table.ts fills it.
 */

export type OptionRow = {
  /** "-v, --v <level>" */
  readonly flags: string;
  readonly long: string | null;
  readonly short: string | null;
  readonly about: string;
  /** As shown, "" for none. */
  readonly default: string;
  readonly environment: string | null;
  readonly takesValue: boolean;
  /** All possible values, if that is a short list. */
  readonly choices: readonly string[];
};

export type CommandRow = {
  /** "" for the program itself. */
  readonly name: string;
  readonly about: string;
  /** "<address:port>" */
  readonly arguments: readonly string[];
  readonly options: readonly OptionRow[];
};
