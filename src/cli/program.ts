/** The command line as a whole: its commands and its help. */
import { Command, Help } from "commander";

import { build } from "../runtime/build.ts";
import { certsCommand } from "./certs.ts";
import { checkCommand } from "./check.ts";
import { completionsCommand } from "./completions.ts";
import { confirmCommand } from "./confirm.ts";
import { demoCommands } from "./demo.ts";
import { helpCommand } from "./help.ts";
import { addExamples, examplesText, folded, programExamples } from "./examples.ts";
import { describeOption } from "./options.ts";
import { manifestCommand } from "./manifest.ts";
import { policyCommand } from "./policy.ts";
import { readyCommand } from "./ready.ts";
import { rulesCommand } from "./rules.ts";
import { runCommand } from "./run.ts";
import { selftestCommand, versionCommand } from "./selftest.ts";
import { withSuggestion } from "./suggestions.ts";
import { whyCommand } from "./why.ts";
import { escapeLines } from "../runtime/log/escape.ts";

/** The program, ready to parse normalised arguments; it throws CommanderError instead of exiting. */
export function makeProgram(screen: Screen = process.stdout): Command {
  const helpWidth = widthOf(screen);
  const program = new Command("tls-tproxy");
  program
    .description(about)
    .usage("[run] [options]\n       tls-tproxy <command> [options]")
    .exitOverride()
    .allowExcessArguments(false)
    .enablePositionalOptions()
    .showHelpAfterError("Try tls-tproxy --help.")
    .configureHelp({
      optionDescription: describeOption,
      helpWidth,
      minWidthToWrap: foldedColumnsMin,
      showGlobalOptions: false,
      formatHelp: commandsFirst,
    })
    .configureOutput({
      outputError: (text, write) => {
        const names = program.commands.map((one) => one.name());
        write(escapeLines(withSuggestion(text.replace(/^error: /, "tls-tproxy: "), names)));
      },
    })
    .addHelpText("after", epilogueOf(helpWidth));
  runCommand(program);
  program.version(`tls-tproxy ${build.version}`, "-V, --version", "show the version");
  program.helpOption("-h, --help", "show this help");
  program.helpCommand(false);
  program.commandsGroup("Commands:");
  demoCommands(program);
  rulesCommand(program);
  confirmCommand(program);
  checkCommand(program);
  readyCommand(program);
  policyCommand(program);
  whyCommand(program);
  selftestCommand(program);
  versionCommand(program);
  certsCommand(program);
  manifestCommand(program);
  completionsCommand(program);
  helpCommand(program);
  addExamples(program, helpWidth);
  return program;
}

/** Output to a pipe has the width of a page. */
function widthOf({ isTTY, columns }: Screen): number {
  return isTTY ? Math.max(columnsMin, Math.min(columns, columnsMax)) : columnsPiped;
}

/** The program's own help shows its commands first. */
function commandsFirst(command: Command, helper: Help): string {
  const text = Help.prototype.formatHelp.call(helper, command, helper);
  const commands = /\nCommands:\n(?: .*\n)+/.exec(text)?.[0];
  const options = /\nCredentials/.exec(text);
  if (commands === undefined || options === null) return text;
  const rest = text.slice(options.index).replace(commands, "");
  return `${text.slice(0, options.index)}${commands}${rest}`;
}

/** The output that shows the help: process.stdout, or a size for tests. */
type Screen = { readonly isTTY: boolean; readonly columns: number };

function epilogueOf(width: number): string {
  return ["", folded(epilogue, width), examplesText(programExamples, width)].join("\n");
}

const about =
  "Carries a pod's TCP connections to its peers over mutual TLS. Applications notice nothing: " +
  "the kernel diverts what they send and receive, and nothing to the mesh ever leaves in cleartext.";

const epilogue =
  'A long option takes one dash or two, and "=" or a space before its value. Environment variables ' +
  "set the same options: TPROXY_CA_CERT sets --ca-cert. A flag overrides the environment, which " +
  "overrides the default. Exit codes: 0 done, 1 failed, 2 a wrong command line (tls-tproxy help options).";

const columnsMin = 60;
const columnsMax = 120;
const columnsPiped = 96;
/** The smallest width to which descriptions are folded. */
const foldedColumnsMin = 20;
