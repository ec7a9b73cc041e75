import type { Block } from '../catalog/catalog';
import type { Table } from '../layout/table';
import type { BoundStatement } from '../sql/bound';
import type { Attempt } from './attempt';
import { type Claim, claimStatements, type KeyColumn, readTableList } from './claims';
import { CONFLICT, conflictOf } from './conflict';
import type { PlacedKey } from './guard';
import type { Point } from './regions';
import { slotOf } from './slots';
import { type Candidate, nearest, placedBy, random, roundRobin, type Strategy } from './strategies';

/** How many turns of a round an isolate takes at once, at most. */
const TURNS = 32;
/** A bound string may be 2 MB. */
const CLAIMS_PER_BATCH = 5000;

export interface ClaimerParts {
  /** The next turns of the round over all isolates. */
  readonly turns: (keyspace: string, count: number, atMost: number) => Promise<Block[]>;
  /** Priorities as the configuration gives them. */
  readonly priorityOf: (shard: string) => number;
  /** Where the request comes from, or what `targetRegion` says. */
  readonly near: Point | undefined;
  /** Runs a batch on a shard; a refusal names these keys. */
  readonly run: (shard: string, keys: readonly PlacedKey[], statements: readonly BoundStatement[]) => Promise<Claimed>;
  /** Bounded concurrency. */
  readonly forEach: <T, R>(items: readonly T[], each: (item: T) => Promise<R>) => Promise<R[]>;
  /** The tables that a database has, by name. */
  readonly tablesOf: (shard: string, list: string | null) => Promise<readonly Table[]>;
}

/** What a claim's batch says: the version of the shard, and the rows of the last statement. */
export interface Claimed {
  readonly last: readonly Readonly<Record<string, unknown>>[];
}

/** Says that a database has other tables than a claim was written for. */
const TABLES_CHANGED = 'SHARD_TABLES';

/** Places new keys by a strategy: chooses a shard for each, and claims it on the key's home, whose first claim wins. */
export class Claimer {
  constructor(
    readonly strategy: Exclude<Strategy, 'hash'>,
    readonly parts: ClaimerParts,
  ) {}

  async claim(attempt: Attempt, keyspace: string, keys: readonly string[]): Promise<PlacedKey[]> {
    const wanted = await this.#choose(attempt, keyspace, keys);
    const homes = new Map<string, Claim[]>();
    for (const [i, key] of keys.entries()) {
      const slot = slotOf(key);
      const shard = attempt.homeOf(keyspace, slot);
      const probed = attempt.probed(keyspace, key);
      const claim: Claim = {
        keyspace,
        key,
        slot,
        shard,
        wanted: wanted[i] as string,
        ...(probed === undefined ? {} : { probed }),
      };
      const list = homes.get(shard);
      if (list) list.push(claim);
      else homes.set(shard, [claim]);
    }
    const batches = [...homes].flatMap(([home, claims]) =>
      Array.from({ length: Math.ceil(claims.length / CLAIMS_PER_BATCH) }, (_, i) => ({
        home,
        claims: claims.slice(i * CLAIMS_PER_BATCH, (i + 1) * CLAIMS_PER_BATCH),
      })),
    );
    const placed = await this.parts.forEach(batches, ({ home, claims }) =>
      this.#claimAt(attempt, home, keyspace, claims),
    );
    return placed.flat();
  }

  async #claimAt(attempt: Attempt, home: string, keyspace: string, claims: readonly Claim[]): Promise<PlacedKey[]> {
    const { state } = attempt.parts.resolver;
    for (let again = false; ; again = true) {
      if (again || !state.tables.has(home)) {
        const { last } = await this.parts.run(home, claims, [readTableList]);
        state.tables.set(home, (last[0]?.tables as string | null) ?? null);
      }
      const list = state.tables.get(home) ?? null;
      const columns = keyColumns(await this.parts.tablesOf(home, list), keyspace);
      const { cluster } = attempt;
      try {
        const statements = claimStatements({ cluster, shard: home }, keyspace, claims, columns, list);
        const { last } = await this.parts.run(home, claims, statements);
        return claims.map(({ wanted: _, ...claim }, i) => {
          const { key, slot } = claim;
          const at = String(last[i]?.at);
          if (at === CONFLICT) throw conflictOf(keyspace, key);
          const shard = attempt.bound(at);
          attempt.remember(keyspace, key, shard, slot);
          const known = attempt.versions.get(shard) ?? 0;
          return shard === home ? claim : { keyspace, key, slot, shard, known };
        });
      } catch (error) {
        if (again || !(error instanceof Error) || !error.message.includes(TABLES_CHANGED)) throw error;
      }
    }
  }

  async #choose(attempt: Attempt, keyspace: string, keys: readonly string[]): Promise<string[]> {
    const { strategy, parts } = this;
    const shards = attempt.routing.takesNewKeys
      .filter(({ name }) => attempt.parts.isBound(name))
      .map((shard): Candidate => ({ ...shard, priority: parts.priorityOf(shard.name) }));
    if (typeof strategy === 'function') return keys.map((key) => placedBy(strategy, key, shards));
    if (strategy === 'random') return keys.map(() => random(shards));
    if (strategy === 'location') return keys.map((key) => nearest(key, shards, parts.near));
    const blocks = await parts.turns(keyspace, keys.length, TURNS);
    return turnsOf(blocks).map((turn) => roundRobin(turn, shards));
  }
}

const turnsOf = (blocks: readonly Block[]): number[] =>
  blocks.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));

/** The shard-key columns of all tables of a keyspace. */
export function keyColumns(tables: readonly Table[], keyspace: string): KeyColumn[] {
  return tables.flatMap(({ name, placement }) =>
    placement.kind === 'sharded' && placement.keyspace === keyspace
      ? [{ table: name, column: placement.key.name }]
      : [],
  );
}
