/** Which texts a source holds: those that tests about words look at. */
import { expect, test } from "bun:test";

import { literalsIn } from "../../support/literals.ts";

test.each([
  ['const a = "one";\nconst b = `two`;', ["one", "two"]],
  ['// "no"\n/* "no" */ const a = "yes"; // `no`', ["yes"]],
  ["const a = `x ${b(`inner ${c}`)} y`;", ["x  y"]],
  ["const a = `x ${b({ c: 1 })} y`;", ["x  y"]],
  ['const a = /["`]/.exec("text");', ["text"]],
  ['const a = b / c + "d" / 2;', ["d"]],
  [String.raw`const a = "quoted \" on";`, [String.raw`quoted \" on`]],
  ["const a = '';", [""]],
])("%p holds %j", (source, texts) => {
  expect(literalsIn(source).map(({ text }) => text)).toEqual(texts);
});

test("lines are counted from 1", () => {
  expect(literalsIn('\n\nconst a = "x";')).toEqual([{ line: 3, text: "x" }]);
});
