import { UnsupportedStatementError } from '../errors';
import type { Range } from './ast';
import { readValue, type ValueRef } from './conditions';
import { jsonText, LISTED_VALUE } from './json-values';
import { isOp, isWord, type Token } from './tokens';

/** D1 binds at most this many values to one statement: https://developers.cloudflare.com/d1/platform/limits/ */
export const MAX_PARAMS = 100;

/** What is bound at one `?` of a rewritten statement. */
export type Slot =
  | { readonly kind: 'param'; readonly index: number }
  | { readonly kind: 'value'; readonly value: unknown }
  /** Several bound values as one JSON array. */
  | { readonly kind: 'list'; readonly values: readonly ValueRef[] }
  /** The INTEGER PRIMARY KEY of an inserted row: what was bound, or else a number of the sequence. */
  | { readonly kind: 'id'; readonly row: number; readonly given: number | undefined }
  /** LIMIT + OFFSET: what each shard must give so that the merged page is right. */
  | { readonly kind: 'page'; readonly limit: ValueRef; readonly offset: ValueRef | undefined };

/** SQL text whose plain `?` are filled from `slots`, in order. */
export interface Template {
  readonly sql: string;
  readonly slots: readonly Slot[];
}

export interface CopyOptions {
  readonly skip?: readonly Range[];
  readonly replace?: ReadonlyMap<number, string>;
  readonly compact?: boolean;
}

/** Writes a statement out of pieces of another one. */
export class SqlWriter {
  #sql = '';
  readonly #slots: Slot[] = [];

  constructor(
    readonly source: string,
    readonly tokens: readonly Token[],
  ) {}

  text(text: string): this {
    this.#sql += text;
    return this;
  }

  slot(slot: Slot): this {
    this.#sql += '?';
    this.#slots.push(slot);
    return this;
  }

  /** A value: a literal is written out, a bound one stays bound. */
  value(value: ValueRef): this {
    if (value.kind === 'param') return this.slot({ kind: 'param', index: value.index });
    return value.kind === 'literal' ? this.slot({ kind: 'value', value: value.value }) : this;
  }

  /**
   * Copies source text, its parameters included, without the ranges in `skip` and with other text for some tokens.
   * With `compact`, lists of parameters become one JSON parameter.
   */
  copy(range: Range, options: CopyOptions = {}): this {
    let end = this.tokens[range.from]?.start ?? 0;
    for (let i = range.from; i < range.to; i++) {
      const skipped = options.skip?.find((one) => i >= one.from && i < one.to);
      const token = this.tokens[i] as Token;
      if (skipped) {
        this.#sql += this.source.slice(end, token.start);
        i = skipped.to - 1;
        end = (this.tokens[i] as Token).end;
        continue;
      }
      this.#sql += this.source.slice(end, token.start);
      end = token.end;
      const list = options.compact ? paramList(this.tokens, i) : undefined;
      if (list) {
        this.text(`(select ${LISTED_VALUE} from json_each(`).slot({ kind: 'list', values: list }).text('))');
        i = token.match;
        end = (this.tokens[i] as Token).end;
      } else if (token.kind === 'param') this.slot({ kind: 'param', index: token.param });
      else this.#sql += options.replace?.get(i) ?? token.text;
    }
    return this;
  }

  /** Adds another template. */
  append(template: Template): this {
    this.#sql += template.sql;
    this.#slots.push(...template.slots);
    return this;
  }

  done(): Template {
    return { sql: this.#sql, slots: [...this.#slots] };
  }
}

/** `in (?, ?, ...)`: the values, when the parenthesis at `at` holds parameters only. */
function paramList(tokens: readonly Token[], at: number): ValueRef[] | undefined {
  if (!isOp(tokens[at], '(') || !isWord(tokens[at - 1], 'in')) return undefined;
  const close = (tokens[at] as Token).match;
  const values: ValueRef[] = [];
  for (let i = at + 1; i < close; i += 2) {
    const value = readValue(tokens, { from: i, to: i + 1 });
    if (value?.kind !== 'param' || (i + 1 < close && !isOp(tokens[i + 1], ','))) return undefined;
    values.push(value);
  }
  return values.length > 1 ? values : undefined;
}

/** Numbers for the rows of an INSERT that leave their id to the database, as text: numbers would be bound as REAL. */
export type Ids = ReadonlyMap<number, string>;

const NO_IDS: Ids = new Map();

/** The values to bind, from those of the original statement. */
export function bindTemplate(template: Template, params: readonly unknown[], ids: Ids = NO_IDS): unknown[] {
  return template.slots.map((slot) => {
    if (slot.kind === 'param') return params[slot.index];
    if (slot.kind === 'value') return slot.value;
    if (slot.kind === 'id') return ids.get(slot.row) ?? (slot.given === undefined ? null : params[slot.given]);
    if (slot.kind === 'list') return `[${slot.values.map((value) => jsonText(boundValue(value, params))).join(',')}]`;
    const limit = pageNumber('LIMIT', slot.limit, params);
    return limit < 0 ? -1 : limit + (slot.offset ? pageNumber('OFFSET', slot.offset, params) : 0);
  });
}

/**
 * A LIMIT or OFFSET as SQLite takes it: whole numbers, also as text. Negative limits mean none, negative offsets 0.
 *
 * @throws UnsupportedStatementError for what SQLite calls a datatype mismatch.
 */
export function pageNumber(what: 'LIMIT' | 'OFFSET', value: ValueRef, params: readonly unknown[]): number {
  const given = boundValue(value, params);
  const number =
    typeof given === 'string' && given.trim() !== '' ? Number(given) : given === null ? Number.NaN : Number(given);
  if (!Number.isInteger(number)) {
    throw new UnsupportedStatementError(`${what} is ${String(given)}.`, { remedy: 'Give a whole number.' });
  }
  if (what === 'OFFSET') return Math.min(Math.max(number, 0), Number.MAX_SAFE_INTEGER);
  // Nobody has that many rows.
  return number > Number.MAX_SAFE_INTEGER / 2 ? -1 : number;
}

/** The value that a reference stands for in this execution. */
export const boundValue = (value: ValueRef, params: readonly unknown[]): unknown =>
  value.kind === 'literal' ? value.value : params[value.index];
