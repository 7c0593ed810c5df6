/** Normalises the operator's spellings of arguments for the parser. Pure. */

/**
 * `-cert F`, `--cert=F` and `-cert=F` become `--cert F` and `--cert=F`; a leading `run` is removed, being the default
 * command. Arguments after `--` are unchanged.
 */
export function normalizeArguments(args: readonly string[]): string[] {
  const rest = args[0] === "run" ? args.slice(1) : args;
  const end = rest.indexOf("--");
  const options = end === -1 ? rest : rest.slice(0, end);
  return [...options.map(withTwoDashes), ...rest.slice(options.length)];
}

/** `-v=2` and `-h` are short options; `-cert` is a long one with Go's single dash. */
function withTwoDashes(argument: string): string {
  const short = /^-([a-z])=(.*)$/i.exec(argument);
  if (short !== null) return `-${short[1]}${short[2]}`;
  return /^-[a-z][a-z-]+(=|$)/i.test(argument) ? `-${argument}` : argument;
}
