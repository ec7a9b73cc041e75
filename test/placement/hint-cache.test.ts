import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors';
import { HintCache } from '../../src/placement/hint-cache';

/** A cache and its clock, which begins at 1,000 ms. */
function make(options: { max?: number; maxAgeMs?: number } = {}) {
  const clock = { now: 1000 };
  return { clock, hints: new HintCache({ ...options, now: () => clock.now }) };
}

describe('hints', () => {
  it('are kept by keyspace and key', () => {
    const { hints } = make();
    hints.set('default', 'k', 'a');
    hints.set('tenants', 'k', 'b');
    expect(hints.get('default', 'k')).toBe('a');
    expect(hints.get('tenants', 'k')).toBe('b');
    expect(hints.get('default', 'other')).toBeUndefined();
    expect(hints.get('none', 'k')).toBeUndefined();
    expect(hints.size).toBe(2);
  });

  it('do not mix up keys whose texts join to the same', () => {
    const { hints } = make();
    hints.set('a', 'bc', 'one');
    hints.set('ab', 'c', 'two');
    expect([hints.get('a', 'bc'), hints.get('ab', 'c')]).toEqual(['one', 'two']);
    hints.set('__proto__', 'constructor', 'three');
    expect(hints.get('__proto__', 'constructor')).toBe('three');
  });

  it('are replaced and deleted', () => {
    const { hints } = make();
    hints.set('default', 'k', 'a');
    hints.set('default', 'k', 'b');
    expect([hints.get('default', 'k'), hints.size]).toEqual(['b', 1]);
    hints.delete('tenants', 'k');
    hints.delete('default', 'other');
    expect(hints.size).toBe(1);
    hints.delete('default', 'k');
    expect([hints.get('default', 'k'), hints.size]).toEqual([undefined, 0]);
  });

  it('are cleared, the previous generation too', () => {
    const { hints } = make({ max: 4 });
    for (const key of ['1', '2', '3']) hints.set('default', key, 'a');
    hints.clear();
    expect([hints.get('default', '1'), hints.get('default', '3'), hints.size]).toEqual([undefined, undefined, 0]);
  });

  it('are replaced and deleted when they are in the previous generation', () => {
    const { hints } = make({ max: 4 });
    for (const key of ['1', '2', '3']) hints.set('default', key, 'old');
    hints.set('default', '1', 'new');
    expect([hints.get('default', '1'), hints.size]).toEqual(['new', 3]);
    hints.delete('default', '1');
    hints.delete('default', '2');
    expect([hints.get('default', '1'), hints.get('default', '2'), hints.size]).toEqual([undefined, undefined, 1]);
  });
});

describe('bounded in number', () => {
  it.each([2, 3, 10, 101])('holds %i at most, and the newest half always', (max) => {
    const { hints } = make({ max });
    let most = 0;
    for (let i = 0; i < 1000; i++) {
      hints.set(`keyspace-${i % 3}`, `k${i}`, 'a');
      most = Math.max(most, hints.size);
      for (let back = 0; back < Math.floor(max / 2) && back <= i; back++) {
        expect(hints.get(`keyspace-${(i - back) % 3}`, `k${i - back}`)).toBe('a');
      }
    }
    expect(most).toBeLessThanOrEqual(max);
    expect(most).toBeGreaterThanOrEqual(max - 1);
  });

  it('says as its size how many it gives', () => {
    const { hints } = make({ max: 10 });
    const keys = Array.from({ length: 40 }, (_, i) => `k${(i * 7) % 23}`);
    for (const [i, key] of keys.entries()) {
      if (i % 5 === 4) hints.delete('default', keys[i - 2] as string);
      else hints.set('default', key, 'a');
      expect(hints.size).toBe(new Set(keys.filter((one) => hints.get('default', one))).size);
    }
  });

  it('does not push others out by writing the same keys again', () => {
    const { hints } = make({ max: 4 });
    hints.set('default', 'kept', 'a');
    for (let i = 0; i < 100; i++) hints.set('default', 'again', String(i));
    expect([hints.get('default', 'kept'), hints.get('default', 'again'), hints.size]).toEqual(['a', '99', 2]);
  });

  it('holds 100,000 by default', () => {
    const { hints } = make();
    for (let i = 0; i < 100_000; i++) hints.set('default', `k${i}`, 'a');
    expect([hints.size, hints.get('default', 'k0')]).toEqual([100_000, 'a']);
    hints.set('default', 'one more', 'a');
    expect([hints.size, hints.get('default', 'k0')]).toEqual([50_001, undefined]);
  });

  it.each([0, 1, -2, 2.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a max of %d', (max) => {
    expect(() => make({ max })).toThrow(ConfigError);
  });
});

describe('bounded in time', () => {
  it('gives a hint up to but not at its greatest age, with nothing written since', () => {
    const { clock, hints } = make({ maxAgeMs: 100 });
    hints.set('default', 'k', 'a');
    clock.now += 99;
    expect([hints.get('default', 'k'), hints.size]).toEqual(['a', 1]);
    clock.now += 1;
    expect([hints.get('default', 'k'), hints.size]).toEqual([undefined, 0]);
  });

  it('does so in the previous generation, when the current one is younger', () => {
    const { clock, hints } = make({ maxAgeMs: 100 });
    hints.set('default', 'k', 'a');
    clock.now += 60;
    hints.set('default', 'younger', 'b');
    clock.now += 39;
    expect([hints.get('default', 'k'), hints.size]).toEqual(['a', 2]);
    clock.now += 1;
    expect([hints.get('default', 'k'), hints.get('default', 'younger'), hints.size]).toEqual([undefined, 'b', 1]);
  });

  it('does not let a hint outlive its age by being read', () => {
    const { clock, hints } = make({ maxAgeMs: 100 });
    hints.set('default', 'k', 'a');
    for (let age = 10; age <= 200; age += 10) {
      clock.now += 10;
      hints.set('default', `other-${age}`, 'b');
      const hint = hints.get('default', 'k');
      if (age <= 50 || age >= 100) expect(hint, `${age} ms old`).toBe(age < 100 ? 'a' : undefined);
    }
  });

  it.each([1, 7, 10, 33, 49, 50, 51, 99, 130])(
    'gives hints for half the age at least and never longer: one each %i ms',
    (step) => {
      const { clock, hints } = make({ maxAgeMs: 100 });
      for (let i = 0; i < 60; i++) {
        hints.set('default', `k${i}`, 'a');
        for (let j = 0; j <= i; j++) {
          const age = (i - j) * step;
          const given = hints.get('default', `k${j}`) !== undefined;
          if (age <= 50) expect(given, `${age} ms old`).toBe(true);
          if (age >= 100) expect(given, `${age} ms old`).toBe(false);
        }
        clock.now += step;
      }
    },
  );

  it('counts the age from when a hint was written last', () => {
    const { clock, hints } = make({ maxAgeMs: 100 });
    hints.set('default', 'k', 'a');
    clock.now += 60;
    hints.set('default', 'k', 'b');
    clock.now += 60;
    expect([hints.get('default', 'k'), hints.size]).toEqual(['b', 1]);
  });

  it('is five minutes by default', () => {
    const { clock, hints } = make();
    hints.set('default', 'k', 'a');
    clock.now += 299_999;
    expect(hints.get('default', 'k')).toBe('a');
    clock.now += 1;
    expect(hints.get('default', 'k')).toBeUndefined();
  });

  it('is by the clock of the system unless told otherwise', () => {
    const hints = new HintCache();
    hints.set('default', 'k', 'a');
    expect(hints.get('default', 'k')).toBe('a');
  });

  it.each([0, -1, Number.NaN])('refuses a maxAgeMs of %d', (maxAgeMs) => {
    expect(() => make({ maxAgeMs })).toThrow(ConfigError);
  });
});
