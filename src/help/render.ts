/** A topic for a person who reads it in a terminal; what is piped stays markdown, which reads well as it is. */

export type Terminal = {
  /** Null where the output is no terminal. */
  readonly columns: number | null;
  readonly colour: boolean;
};

/** Text that ends with a line feed. Bun formats it: tables with frames, code set apart, links with their targets. */
export function renderMarkdown(text: string, { columns, colour }: Terminal): string {
  if (columns === null) return text;
  const width = Math.min(columns, readableColumns);
  return `${Bun.markdown.ansi(text, { columns: width, colors: colour }).trimEnd()}\n`;
}

/** Longer lines are hard to read. */
const readableColumns = 110;
