/** How this program starts itself again. */

/** The command line's beginning: the executable, or in development Bun and the source. */
export function selfCommand(): readonly string[] {
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}
