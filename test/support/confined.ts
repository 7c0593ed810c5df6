/** Keeps only the capabilities whose numbers are given, and prints whether a start could mark sockets. */
import { confine } from "../../src/native/privileges.ts";
import { assertMarkable } from "../../src/proxy/sockets.ts";
import { ProxyError } from "../../src/runtime/errors.ts";

confine(process.argv.slice(2).map(Number));
try {
  assertMarkable(0x100);
  console.log("yes");
} catch (error) {
  if (!(error instanceof ProxyError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
