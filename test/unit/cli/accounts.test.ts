/** Users and groups by name. */
import { expect, test } from "bun:test";

import { idOf, parseId } from "../../../src/cli/accounts.ts";
import { gid, uid } from "../../../src/cli/values.ts";

const text =
  "root:x:0:0:root:/root:/bin/sh\nweb:x:1337:33::/:/none\nbad:x:no:1::\nend:x:4294967295:1::\n";

test.each([
  ["root", 0],
  ["web", 1337],
  ["bad", null],
  ["end", null],
  ["w", null],
  ["", null],
  ["0", null],
] as const)("%p is %p", (name, id) => {
  expect(parseId(text, name)).toBe(id);
});

test("in an image without users no name is known", () => {
  expect(idOf("/nonexistent/passwd", "root")).toBeNull();
});

test("options accept numbers and names", () => {
  expect([uid("0"), uid("root"), gid("4242"), gid("root")]).toEqual([0, 0, 4242, 0]);
  expect(() => uid("4294967295")).toThrow("a user id, 0 to 4294967294");
  expect(() => gid("none at all")).toThrow("a name in /etc/group");
});
