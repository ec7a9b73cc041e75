import { describe, expect, it } from 'vitest';
import { D1_ERRORS, type Fault, failingOn } from '../../src/testing/fault';
import type { D1Call } from '../../src/testing/intercepted-d1';

const call: D1Call = { method: 'all', statements: [] };
/** Which of the statements fail, in this order. */
const failed = (fault: Fault, statements: readonly string[]): boolean[] => {
  const failOn = failingOn(fault);
  return statements.map((sql) => failOn(sql, { ...call }) !== undefined);
};

describe('a fault', () => {
  it.each<[string, Fault['on']]>([
    ['a text', 'users'],
    ['a pattern', /from users/],
    ['a pattern that would remember where it was', /users/g],
    ['a function', (sql) => sql.endsWith('users')],
  ])('is met by %s', (_kind, on) => {
    expect(failed({ on: on ?? '' }, ['from users', 'from posts', 'from users'])).toEqual([true, false, true]);
  });

  it('skips, and ends after so many times; what it does not mean does not count', () => {
    const statements = ['a', 'x', 'a', 'a', 'x', 'a'];
    expect(failed({ on: 'a', skip: 1, times: 2 }, statements)).toEqual([false, false, true, true, false, false]);
    expect(failed({ times: 0 }, ['a'])).toEqual([false]);
    expect(failed({}, ['a', 'b', 'c'])).toEqual([true, true, true]);
  });

  it('skips calls, however many statements of a batch it means', () => {
    const failOn = failingOn({ on: 'a', skip: 2 });
    const batches = Array.from({ length: 3 }, (): D1Call => ({ ...call, method: 'batch' }));
    const hits = batches.map((batch) => ['a', 'b', 'a'].some((sql) => failOn(sql, batch) !== undefined));
    expect(hits).toEqual([false, false, true]);
  });

  it('speaks as D1 does', () => {
    expect(failingOn({})('a', call)?.message).toBe(D1_ERRORS.lost);
    expect(failingOn({ error: 'overloaded' })('a', call)?.message).toBe(D1_ERRORS.overloaded);
  });

  it('happens about as often as its chance', () => {
    const hits = failed(
      { chance: 0.25, seed: 7 },
      Array.from({ length: 1000 }, () => 'a'),
    ).filter(Boolean).length;
    expect(hits).toBeGreaterThan(200);
    expect(hits).toBeLessThan(300);
    expect(failed({ chance: 0 }, ['a'])).toEqual([false]);
  });
});
