import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../..');

/** What a reader of a page does, in the order of the page. */
export type Step = {
  /** `docs/cli.md:12` */
  readonly at: string;
} & (
  | { readonly kind: 'command'; readonly line: string }
  /** A file of the reader's project; `below`: what it has stays, and this follows. */
  | { readonly kind: 'file'; readonly path: string; readonly below: boolean; readonly text: string }
);

const FENCE = /^ *```(\w*)$/;
const FILE_NAME = /^(?:\/\/|#) ([\w./-]+\.\w+)(, below)?$/;
const INLINE_COMMAND = /`(npx [^`]+)`/g;
const RUN = /^ *- run: (.+)$/;

/**
 * Commands are the lines of `sh` blocks, what YAML blocks `run`, and text in backquotes that begins with `npx`. A block whose first
 * line is a comment with the name of a file is that file.
 */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = [];
  let language: string | undefined;
  let file: { path: string; below: boolean; lines: string[] } | undefined;
  for (const [i, line] of readFileSync(join(root, page), 'utf8').split('\n').entries()) {
    const at = `${page}:${i + 1}`;
    const fence = FENCE.exec(line);
    if (fence) {
      if (file) steps.push({ at, kind: 'file', ...file, text: `${file.lines.join('\n')}\n` });
      file = undefined;
      language = language === undefined ? fence[1] : undefined;
    } else if (language === undefined) {
      for (const [, command = ''] of line.matchAll(INLINE_COMMAND)) steps.push({ at, kind: 'command', line: command });
    } else if (language === 'sh') {
      if (line.trim() && !line.startsWith('#')) steps.push({ at, kind: 'command', line });
    } else {
      const [, path, below] = (!file && FILE_NAME.exec(line)) || [];
      if (path) file = { path, below: below !== undefined, lines: [] };
      file?.lines.push(line);
      const [, command] = (language === 'yaml' && RUN.exec(line)) || [];
      if (command) steps.push({ at, kind: 'command', line: command });
    }
  }
  return steps;
}

/** The last text that a page has for a file of this name. */
export function fileOf(page: string, path: string): string {
  for (const step of stepsOf(page)) if (step.kind === 'file' && step.path === path && !step.below) return step.text;
  throw new Error(`${page} has no file ${path}.`);
}
