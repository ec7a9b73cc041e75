import type { Options } from './command';
import { UsageError } from './errors';

/** An option that takes a whole number above 0. */
export function wholeNumber(options: Options, name: string): number | undefined {
  const given = options[name];
  if (given === undefined) return undefined;
  const value = Number(given);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${flagOf(name)} is ${String(given)}.`, { remedy: 'Write a whole number above 0.' });
}

/** An option that takes a number from 0 to 1. */
export function fraction(options: Options, name: string): number | undefined {
  const given = options[name];
  if (given === undefined) return undefined;
  const value = Number(given);
  if (given !== '' && value >= 0 && value <= 1) return value;
  throw new UsageError(`${flagOf(name)} is ${String(given)}.`, { remedy: 'Write a number from 0 to 1.' });
}

export function text(options: Options, name: string): string | undefined {
  const given = options[name];
  return typeof given === 'string' ? given : undefined;
}

export const isOn = (options: Options, name: string): boolean => options[name] === true;

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
