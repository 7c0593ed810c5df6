/**
 * Runs `certs` and does something right before one of its changes of files. Arguments: the number of the change, from 1;
 * "kill", or "swap" to put a link to another folder in the place of the certificate's; --out; --name; that other folder.
 */
import { renameSync, symlinkSync } from "node:fs";

import { certify } from "../../src/cli/certs.ts";

const [, , at = "", what = "", out = "", name = "", elsewhere = ""] = process.argv;
let changes = 0;
certify({ out, name, dns: ["web.example.org"], days: 7 }, () => {
  changes += 1;
  if (changes !== Number(at)) return;
  if (what === "kill") process.kill(process.pid, "SIGKILL");
  renameSync(`${out}/${name}`, `${out}/moved`);
  symlinkSync(elsewhere, `${out}/${name}`);
});
