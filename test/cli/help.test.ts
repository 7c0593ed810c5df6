/** The manual: topics, commands, search words, the man page, and completions in real shells. */
import { describe, expect, test } from "bun:test";

import { examples } from "../../src/cli/examples.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { exitCodes } from "../../src/help/exit-codes.ts";
import { topics } from "../../src/help/topics.ts";
import { tproxy } from "../support/tproxy.ts";

test("help lists the commands and the topics", () => {
  const { code, out } = tproxy(["help"]);
  expect(code).toBe(0);
  for (const { name, summary } of topics)
    expect(out).toMatch(new RegExp(`^  ${name} +${RegExp.escape(summary)}$`, "m"));
  for (const name of Object.keys(examples)) expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
});

test("help TOPIC prints the topic", () => {
  expect(tproxy(["help", "security"])).toEqual({
    code: 0,
    out: topics.find(({ name }) => name === "security")?.text ?? "",
    error: "",
  });
});

test("help for a topic with a command's name also refers to the command's options", () => {
  const { out } = tproxy(["help", "policy"]);
  expect(out).toStartWith(topics.find(({ name }) => name === "policy")?.text ?? "none");
  expect(out).toEndWith("\nThe options of the command policy: tls-tproxy policy --help\n");
});

test("help COMMAND prints the command's help", () => {
  expect(tproxy(["help", "rules"]).out).toBe(tproxy(["rules", "--help"]).out);
});

test("help with any other word names the sections that mention it", () => {
  const { code, out } = tproxy(["help", "close_notify"]);
  expect(code).toBe(0);
  expect(out).toContain("protocol: Endings");
});

test("a word that occurs nowhere is an error that names the next step", () => {
  const { code, error } = tproxy(["help", "xyzzy"]);
  expect([code, error]).toEqual([
    2,
    'tls-tproxy: no topic mentions "xyzzy". tls-tproxy help lists the topics\n',
  ]);
});

test.each([
  ["status", "Did you mean tls-tproxy check?"],
  ["uninstall", "Did you mean tls-tproxy rules --remove?"],
  ["chekc", "Did you mean tls-tproxy check?"],
  ["polcy", "Did you mean tls-tproxy policy?"],
  ["frobnicate", "tls-tproxy help lists the commands"],
])("for the unknown command %p the answer is %p", (name, hint) => {
  const { code, error } = tproxy([name]);
  expect([code, error]).toEqual([
    2,
    `tls-tproxy: there is no command "${name}". ${hint}\nTry tls-tproxy --help.\n`,
  ]);
});

test.each([60, 70, 80, 100, 120])(
  "on a terminal with %d columns no line of the help is longer",
  (columns) => {
    const program = makeProgram({ isTTY: true, columns });
    for (const command of [program, ...program.commands]) {
      let shown = "";
      command.configureOutput({ writeOut: (text) => void (shown += text) });
      command.outputHelp();
      expect(shown).toContain("Usage: tls-tproxy");
      // Commands that are to be copied stay on one line.
      const lines = shown.split("\n").filter((line) => !line.startsWith("  tls-tproxy "));
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
    }
  },
);

test("the topic options lists the exit codes of the man page", () => {
  const { text = "" } = topics.find(({ name }) => name === "options") ?? {};
  for (const [code, meaning] of exitCodes) expect(text).toContain(`\n| ${code} | ${meaning} |\n`);
});

test("every command has an example, and every example belongs to its command", () => {
  const names = makeProgram()
    .createHelp()
    .visibleCommands(makeProgram())
    .map((one) => one.name());
  expect(Object.keys(examples).toSorted()).toEqual(names.toSorted());
  for (const [name, lines] of Object.entries(examples))
    for (const [line] of lines) expect(line).toStartWith(`tls-tproxy ${name}`);
});

test("the man page has every option, and man formats it without warnings", () => {
  const page = tproxy(["help", "--man"]).out;
  for (const { long } of makeProgram().options)
    expect(page).toContain((long ?? "").replaceAll("-", String.raw`\-`));
  const groff = Bun.spawnSync(["groff", "-man", "-ww", "-Tutf8", "-"], {
    stdin: new TextEncoder().encode(page),
  });
  expect(groff.stderr.toString()).toBe("");
  expect(groff.stdout.toString()).toContain("TLS-TPROXY(8)");
});

function script(shell: string): string {
  return tproxy(["completions", shell]).out;
}

/** The completions that a shell offers for the last word. */
function offered(shell: "bash" | "fish", words: readonly string[]): readonly string[] {
  const line = words.join(" ");
  const run = {
    bash: `eval "$1"; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _tls_tproxy; printf '%s\\n' "\${COMPREPLY[@]}"`,
    fish: `echo $argv[1] | source; complete -C '${line}' | cut -f1`,
  }[shell];
  const command =
    shell === "bash"
      ? ["bash", "-c", run, "bash", script(shell)]
      : ["fish", "-c", run, script(shell)];
  const { stdout, stderr } = Bun.spawnSync(command);
  expect(stderr.toString()).toBe("");
  return stdout
    .toString()
    .split("\n")
    .filter((one) => one !== "");
}

describe("completions", () => {
  test.each(["bash", "fish"] as const)("%s completes commands, options and topics", (shell) => {
    expect(offered(shell, ["tls-tproxy", "che"])).toContain("check");
    expect(offered(shell, ["tls-tproxy", "rules", "--prin"])).toContain("--print");
    expect(offered(shell, ["tls-tproxy", "help", "compa"])).toEqual(["compatibility"]);
    expect(offered(shell, ["tls-tproxy", "completions", "z"])).toEqual(["zsh"]);
    expect(offered(shell, ["tls-tproxy", "--log-format", ""]).toSorted()).toEqual(["json", "text"]);
  });

  test("zsh accepts its script", () => {
    const run =
      'autoload -U compinit && compinit -D -u; eval "$1"; print -r -- $_comps[tls-tproxy]';
    const { stdout, stderr } = Bun.spawnSync(["zsh", "-f", "-c", run, "zsh", script("zsh")]);
    expect([stdout.toString().trim(), stderr.toString()]).toEqual(["_tls_tproxy", ""]);
  });

  test("an unknown shell is an error that lists the known ones", () => {
    const { code, error } = tproxy(["completions", "tcsh"]);
    expect(code).toBe(2);
    expect(error).toContain("bash, zsh, fish");
  });
});
