/** How this program starts itself again, and how people start it. */
import { realpathSync } from "node:fs";
import { relative } from "node:path";

/** The start of the command line: the executable, or in development Bun and the source. */
export function selfCommand(): readonly string[] {
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}

/** What a person types to start this program from where they are: its name if the shell finds it, else its path. */
export function shownCommand(): string {
  const [program = "", ...source] = selfCommand();
  if (source.length > 0) return ["bun", ...source.map(fromHere)].join(" ");
  const found = Bun.which(name);
  return found !== null && realpathSync(found) === realpathSync(program) ? name : fromHere(program);
}

/** Below the working directory the shorter form, which keeps a slash: a shell looks for a name without one in PATH. */
function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  if (short.startsWith("..")) return path;
  return short.includes("/") ? short : `./${short}`;
}

const name = "tls-tproxy";
