import { xxHash32 } from 'js-xxhash';
import { CursorError } from '../errors';

/**
 * A place between two rows of an ordered query: the values of its ORDER BY in the row before it, as the JSON text that SQLite
 * made and SQLite reads again, and the fingerprint of the query that they are of.
 */

/** What the reader of a cursor has to know of a value. SQLite knows the rest. */
export type ValueKind = 'null' | 'blob' | 'other';

const encoder = new TextEncoder();
/** So that a later form of cursors can be told from this one. */
const VERSION = '1';
const FINGERPRINT = 8;

export const fingerprintOf = (text: string): string =>
  xxHash32(encoder.encode(text), 0).toString(16).padStart(FINGERPRINT, '0');

/** The cursor as text that may stand in a URL. */
export function writeCursor(fingerprint: string, values: string): string {
  let binary = '';
  for (const byte of encoder.encode(VERSION + fingerprint + values)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * The JSON text of the values in a cursor.
 *
 * @throws CursorError for what is no cursor, or that of another query.
 */
export function readCursor(cursor: string, fingerprint: string, count: number): string {
  const text = decode(cursor);
  if (text === undefined || !text.startsWith(VERSION)) throw notACursor();
  if (text.slice(1, 1 + FINGERPRINT) !== fingerprint) {
    throw new CursorError(
      'The cursor is of another query: its tables, conditions or order are not those of this one.',
      {
        remedy: 'Give `after` the `next` of a page of the same query, or begin without it.',
      },
    );
  }
  const values = text.slice(1 + FINGERPRINT);
  if (kindsOf(values)?.length !== count) throw notACursor();
  return values;
}

/** Undefined for anything but what SQLite makes of the values of one row. */
export function kindsOf(values: string): ValueKind[] | undefined {
  const list = parse(values);
  if (!Array.isArray(list)) return undefined;
  const kinds = list.map(kindOf);
  return kinds.every((kind) => kind !== undefined) ? (kinds as ValueKind[]) : undefined;
}

function kindOf(value: unknown): ValueKind | undefined {
  if (value === null) return 'null';
  if (typeof value === 'string' || typeof value === 'number') return 'other';
  const isBlob = Array.isArray(value) && value.length === 1 && /^([0-9A-F]{2})*$/i.test(String(value[0]));
  return isBlob ? 'blob' : undefined;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function decode(cursor: string): string | undefined {
  if (typeof cursor !== 'string' || !/^[\w-]+$/.test(cursor)) return undefined;
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const notACursor = (): CursorError =>
  new CursorError('`after` is no cursor of a page.', {
    remedy: 'Give it the `next` of the page before, unchanged, or leave it out for the first page.',
  });
