/** More names say nothing more. */
const MAX_NAMES = 8;

/** The first names, and how many more there are. */
export function namesOf(names: readonly string[], max = MAX_NAMES): string {
  const more = names.length - max;
  return more > 0 ? `${names.slice(0, max).join(', ')} and ${more.toLocaleString('en')} more` : names.join(', ');
}

/** More lines of one kind are not read. */
const MAX_LINES = 20;

/** The first lines, and how many more there are. */
export function linesOf(lines: readonly string[], more: string): string[] {
  if (lines.length <= MAX_LINES) return [...lines];
  return [...lines.slice(0, MAX_LINES), `- and ${(lines.length - MAX_LINES).toLocaleString('en')} more: ${more}`];
}

/** Of more shards than that, those that are alike share a line. */
export const MAX_SHARDS_LISTED = 40;
