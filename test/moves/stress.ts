import { env } from 'cloudflare:workers';
import { SLOTS, slotOf } from '../../src/placement/slots';
import type { Strategy } from '../../src/placement/strategies';
import { type Database, keysOf, open } from '../placement/fixture';
import { chaoticKv } from '../support/chaotic-kv';
import { checkHistory, History } from '../support/history';
import { type Bindings, Fleet, type Place } from '../support/isolates';
import { Random } from '../support/random';
import { Client, KeyLocks, type Mix } from './stress-client';

export interface StressOptions {
  readonly seed: number;
  /** It goes on until so many moves are through. */
  readonly moves: number;
  readonly strategy: Strategy;
  readonly place: Place;
  readonly writers: number;
  readonly readers: number;
  readonly movers: number;
  /** Keys whose rows stay, and keys whose rows come and go. */
  readonly steady: number;
  readonly passing: number;
  readonly mix: Mix;
  /** Isolates that have just been started: their share of the statements, and how many each of them serves. */
  readonly newcomers: { readonly share: number; readonly statements: number; readonly kv: boolean };
  readonly moveTimeout: number;
  /** Changes what a mover's isolate does to its databases. */
  readonly plant?: (bindings: Bindings) => Bindings;
}

export interface StressReport {
  /** What the history proves to be wrong. */
  readonly violations: readonly string[];
  /** What clients and movers were told and should not have been. */
  readonly errors: readonly string[];
  /** How often things happened. */
  readonly counts: Readonly<Record<string, number>>;
}

export const SHARDS = ['s0', 's1', 's2', 's3'] as const;
/** Rows come and go only in every other one of these many moves: in between, scatters must count exactly. */
const PHASE_MOVES = 25;

/** Clients and movers at work on one cluster. The databases must be migrated, and hold no cluster. */
export class Stress {
  readonly history = new History();
  readonly errors: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly steady: readonly string[];
  readonly passing: readonly string[];
  readonly locks = new KeyLocks();
  readonly fleet: Fleet;
  readonly #routers: readonly Database[];
  #newcomer: Database;
  #served = 0;
  #moved = 0;
  #isOver = false;

  constructor(readonly options: StressOptions) {
    const { seed, place } = options;
    this.fleet = new Fleet(place, env.KV);
    this.steady = keysOf('steady', options.steady);
    this.passing = keysOf('passing', options.passing);
    this.#routers = [1, 2].map((n) => this.#open(this.fleet.isolate(4, this.#kv(seed + n)).config));
    this.#newcomer = this.#open(this.fleet.isolate(4, this.#kv(seed)).config);
  }

  get isOver(): boolean {
    return this.#isOver || this.errors.length > 0;
  }

  /** Whether rows come and go now. */
  get mayPass(): boolean {
    return Math.floor(this.#moved / PHASE_MOVES) % 2 === 1;
  }

  /** One of two whose caches are as old as they may be, or at times one that has just been started. */
  router(random: Random): Database {
    const { seed, newcomers } = this.options;
    if (random.share() >= newcomers.share) return random.pick(this.#routers);
    if (++this.#served % newcomers.statements === 0) {
      const { kv, ...others } = this.fleet.isolate(4, this.#kv(seed + this.#served)).config;
      this.#newcomer = this.#open(newcomers.kv && kv ? { ...others, kv } : others);
    }
    return this.#newcomer;
  }

  count(what: string, more = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + more;
  }

  fail(what: string, error: unknown): void {
    const { cause } = error as { readonly cause?: unknown };
    // Drizzle wraps what its driver throws.
    this.errors.push(`${what}: ${cause ?? error}`);
  }

  async run(): Promise<StressReport> {
    const { seed, writers, readers, movers } = this.options;
    const client = (n: number) => new Client(this, new Random(seed * 1000 + n));
    await client(0).insertSteady();
    const clients = [
      ...Array.from({ length: writers }, (_, i) => client(i + 1).write()),
      ...Array.from({ length: readers }, (_, i) => client(writers + i + 1).read()),
    ];
    await Promise.all(Array.from({ length: movers }, (_, i) => this.#move(new Random(seed * 1000 - 1 - i))));
    this.#isOver = true;
    await Promise.all(clients);
    // What every router says in the end completes the history.
    const last = this.#open(this.fleet.isolate(4).config);
    for (const router of [...this.#routers, this.#newcomer, last]) {
      if (this.errors.length === 0) await client(-1).readEverything(router);
    }
    return { violations: checkHistory(this.history.entries), errors: this.errors, counts: this.counts };
  }

  #kv(seed: number) {
    return chaoticKv(env.KV, { seed, delayMs: 20 });
  }

  #open(bindings: Bindings): Database {
    const { strategy, moveTimeout } = this.options;
    return open({ config: bindings }, { strategy, moveTimeout });
  }

  /** Begins one move after the other, until there were enough. */
  async #move(random: Random): Promise<void> {
    const { plant = (bindings: Bindings) => bindings } = this.options;
    const db = this.#open(plant(this.fleet.isolate(4, this.#kv(random.below(1e9))).config));
    while (this.#moved < this.options.moves && !this.isOver) {
      const key = random.pick([...this.steady, ...this.passing]);
      const to = random.pick(SHARDS);
      const [before, after] = [random.below(1200), random.below(1200)];
      const range = { lo: Math.max(0, slotOf(key) - before), hi: Math.min(SLOTS - 1, slotOf(key) + after) };
      const isOfKey = random.below(3) > 0;
      const what = isOfKey ? `moving ${key} to ${to}` : `moving the slots ${range.lo} to ${range.hi} to ${to}`;
      try {
        const job = isOfKey ? await db.$cluster.reassign(key, to) : (await db.$cluster.moveSlots(range, to)).job;
        const { moves, rows } = job ?? { moves: 0, rows: 0 };
        // A key without a row is no move worth counting.
        const made = isOfKey && rows === 0 ? 0 : moves;
        this.#moved += made;
        this.count(isOfKey ? 'moves of keys' : 'moves of slots', made);
        this.count('rows moved', rows);
      } catch (error) {
        // Another mover has the same slots, or has split them since.
        if (!/is under way|Several shards own/.test(String(error))) this.fail(what, error);
        else this.count('collisions of movers');
      }
    }
  }
}
