import { seeded } from '../../src/testing/seeded';

/** A generator of choices: the same seed makes the same ones. */
export class Random {
  /** From 0 up to but not including 1. */
  readonly share: () => number;

  constructor(seed: number) {
    this.share = seeded(seed);
  }

  /** A whole number from 0 up to but not including `end`. */
  below(end: number): number {
    return Math.floor(this.share() * end);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** A name of `weights`, as often as its weight among all of them. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries(weights) as [T, number][];
    let left = this.share() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return (entries.at(-1) as [T, number])[0];
  }
}
