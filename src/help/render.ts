/** Formats a topic for a terminal; a pipe gets the markdown itself. */

export type Terminal = {
  /** Null if the output is not a terminal. */
  readonly columns: number | null;
  readonly colour: boolean;
};

/** The text, ending with a line feed. Bun formats it: tables with frames, distinct code, links with their targets. */
export function renderMarkdown(text: string, { columns, colour }: Terminal): string {
  if (columns === null) return text;
  const width = Math.min(columns, readableColumns);
  return `${Bun.markdown.ansi(text, { columns: width, colors: colour }).trimEnd()}\n`;
}

/** Longer lines are hard to read. */
const readableColumns = 110;
