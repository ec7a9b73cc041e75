import Table from 'cli-table3';
import { errorAsJson } from '../errors';

export type Cell = string | number | undefined;

/** What a command has to say, for people or for programs. */
export interface Output {
  /** One JSON document at the end, and nothing else. */
  readonly json: boolean;
  /** A person is looking. */
  readonly isTerminal: boolean;
  /** For people: to stdout. */
  line(text?: string): void;
  table(columns: readonly string[], rows: readonly (readonly Cell[])[]): void;
  /** What is no result: to stderr. */
  note(text: string): void;
  /** For programs: the one document. */
  document(value: unknown): void;
}

/** Lines without frames, so that they can be cut and searched. */
const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export function textTable(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const table = new Table({
    head: [...columns],
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map((_, i) => (rows.every((row) => typeof row[i] === 'number') ? 'right' : 'left')),
  });
  table.push(
    ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : (cell ?? '')))),
  );
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** An error says nothing of itself to JSON. */
const withErrors = (_key: string, value: unknown): unknown => (value instanceof Error ? errorAsJson(value) : value);

export function createOutput(json: boolean): Output {
  const isTerminal = !json && process.stdout.isTTY === true && process.env.CI === undefined;
  const line = (text = '') => {
    if (!json) process.stdout.write(`${text}\n`);
  };
  return {
    json,
    isTerminal,
    line,
    table: (columns, rows) => line(textTable(columns, rows)),
    note: (text) => {
      if (!json) process.stderr.write(`${text}\n`);
    },
    document: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value, withErrors, 2)}\n`);
    },
  };
}
