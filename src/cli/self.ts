/** How this program starts itself again, and how users start it. */
import { realpathSync } from "node:fs";
import { relative } from "node:path";

/** The start of the command line: the executable, or in development Bun and the source. */
export function selfCommand(): readonly string[] {
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}

/** The command that starts this program from the working directory: its name if the shell finds it, else its path. */
export function shownCommand(): string {
  const [program = "", ...source] = selfCommand();
  if (source.length > 0) return ["bun", ...source.map(fromHere)].join(" ");
  const found = Bun.which(name);
  return found !== null && realpathSync(found) === realpathSync(program) ? name : fromHere(program);
}

/**
 * A relative path below the working directory; it keeps a slash, because a shell searches PATH for names without one.
 */
function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  if (short.startsWith("..")) return path;
  return short.includes("/") ? short : `./${short}`;
}

const name = "tls-tproxy";
