/** Commands of similar programs, and their equivalents here. Pure. */

const knownElsewhere: Readonly<Record<string, string>> = {
  analyze: "check",
  cert: "certs",
  certificates: "certs",
  cleanup: "rules --remove",
  completion: "completions",
  describe: "why",
  diagnose: "check",
  doctor: "check",
  explain: "why",
  info: "version",
  inject: "manifest",
  install: "rules --apply",
  man: "help --man",
  start: "run",
  status: "check",
  topics: "help",
  trace: "why",
  uninstall: "rules --remove",
  validate: "policy --check FILE",
};

/** The error for an unknown command, with a suggestion if there is one. */
export function withSuggestion(complaint: string, commands: readonly string[]): string {
  const name = /^.*too many arguments\. Expected 0 arguments but got \d+: ([^\s,]+)/.exec(
    complaint,
  )?.[1];
  if (name === undefined) return complaint;
  const known = name.replace(/\.$/, "");
  const meant = Object.hasOwn(knownElsewhere, known)
    ? knownElsewhere[known]
    : commands.find((one) => isNear(one, known));
  const hint =
    meant === undefined
      ? "tls-tproxy help lists the commands"
      : `Did you mean tls-tproxy ${meant}?`;
  return `tls-tproxy: there is no command ${JSON.stringify(known)}. ${hint}\n`;
}

/** One letter added, removed or changed, or two exchanged. */
function isNear(command: string, name: string): boolean {
  if (command === name || Math.abs(command.length - name.length) > 1) return false;
  let at = 0;
  while (at < name.length && command[at] === name[at]) at += 1;
  const [a, b] = [command.slice(at), name.slice(at)];
  const swapped = `${a[1] ?? ""}${a[0] ?? ""}${a.slice(2)}`;
  return a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) || swapped === b;
}
