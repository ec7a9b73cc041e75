import { HTTPException } from 'hono/http-exception';

/** What the caller sent is not usable: answered with status 400. */
export class InputError extends HTTPException {
  readonly code = 'INVALID_INPUT';

  constructor(message: string) {
    super(400, { message });
    this.name = 'InputError';
  }
}

/** A whole number between `min` and `max`; `fallback` when the caller sent none. */
export function wholeNumber(name: string, value: unknown, { min = 1, max = 100, fallback = NaN } = {}): number {
  const number = value === undefined || value === '' ? fallback : Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new InputError(`${name} must be a whole number from ${min} to ${max}`);
}

/** Text of 1 to `max` characters, without the blanks around it. */
export function requiredText(name: string, value: unknown, max = 100): string {
  const text = typeof value === 'string' ? value.trim() : '';
  if (text.length > 0 && text.length <= max) return text;
  throw new InputError(`${name} must be text of 1 to ${max} characters`);
}

/** As `requiredText`, or null when the caller sent none. */
export function optionalText(name: string, value: unknown, max: number): string | null {
  return value === undefined || value === null || value === '' ? null : requiredText(name, value, max);
}

/** An ISO 8601 date or date and time, or undefined when the caller sent none. */
export function optionalDate(name: string, value: unknown): Date | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const date = new Date(typeof value === 'string' ? value : NaN);
  if (Number.isNaN(date.getTime())) throw new InputError(`${name} must be a date such as 2026-05-17`);
  return date;
}

/** Text to search for, as it is: a blank at its end counts. */
export function searchText(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InputError(`${name} must be text`);
}

/** D1's own limit: a longer LIKE pattern is an error there. */
const MAX_LIKE_PATTERN_BYTES = 50;

/** The LIKE pattern, with `\` as its escape character, for text that begins with `prefix`. */
export function likePrefix(prefix: string): string {
  const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
  if (new TextEncoder().encode(pattern).length <= MAX_LIKE_PATTERN_BYTES) return pattern;
  throw new InputError(`prefix must be shorter: D1 takes LIKE patterns of at most ${MAX_LIKE_PATTERN_BYTES} bytes`);
}
