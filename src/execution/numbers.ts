import type { Block, Catalog } from '../catalog/catalog';
import { ShardKeyError } from '../errors';
import type { IsolateState } from '../placement/isolate';
import { quoteName } from '../sql/tokens';
import type { Executor } from './run';

/** How many ids an isolate takes at once: what an isolate that ends has left is a gap. */
const IDS = 64;
/** How long an isolate believes what it knows of a sequence. */
const SEQUENCE_MAX_AGE_MS = 60_000;
/** Tables whose sequences an isolate remembers. */
const MAX_SEQUENCES = 1000;

/** Numbers that are given once over all isolates: turns of a round, ids. Taken from the catalog in blocks. */
export class Numbers {
  constructor(
    readonly state: IsolateState,
    readonly catalog: Catalog,
    /** Runs statements on primaries: what a session sees may be old. */
    readonly executor: () => Executor,
  ) {}

  /** The next turns of a keyspace's round. */
  async turns(keyspace: string, count: number, atMost: number): Promise<Block[]> {
    const name = `turn:${keyspace}`;
    return this.#take(name, count, () => {
      // Small at first: isolates that place one key each would all begin a round anew with blocks of many.
      const size = Math.min(this.state.turnSizes.get(name) ?? 1, atMost);
      this.state.turnSizes.set(name, size * 2);
      return this.catalog.block(name, Math.max(size, count));
    });
  }

  /** The next ids of a table, as text: above every id that its rows had when the sequence was begun. */
  async ids(table: string, count: number): Promise<string[]> {
    const size = Math.max(count, IDS);
    const blocks = await this.#take(`id:${table}`, count, async () => {
      const known = await this.catalog.sequence(table, size);
      const block = known ?? (await this.catalog.sequence(table, size, await highestId(table, this.executor())));
      this.#know(table, block);
      return block as Block;
    });
    return blocks.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i)));
  }

  /** An id of the sequence turned out to be taken: rows have come with ids of their own. It goes on above all of them. */
  async raise(table: string): Promise<void> {
    this.state.blocks.delete(`id:${table}`);
    await this.catalog.sequence(table, 1, await highestId(table, this.executor()));
  }

  /**
   * A row is about to come with an id of its own. Where its primary key does not decide its shard, no constraint would tell
   * when the sequence gives that id to a row of another shard, so that the sequence goes on above it.
   */
  async passOver(table: string, id: number): Promise<void> {
    const { state, catalog } = this;
    const kept = state.blocks.get(`id:${table}`);
    if (kept && id >= kept.from) {
      if (id < kept.to) state.blocks.set(`id:${table}`, { from: id + 1, to: kept.to });
      else state.blocks.delete(`id:${table}`);
    }
    const known = state.sequences.get(table);
    const isFresh = known !== undefined && Date.now() - known.at < SEQUENCE_MAX_AGE_MS;
    if (isFresh && (known.next === undefined || id < known.next)) return;
    // Without a sequence there is nothing to pass over: when it is begun, it begins above all rows.
    let block = isFresh ? undefined : await catalog.sequence(table, 1);
    if ((isFresh || block) && id >= (block?.to ?? 0)) block = await catalog.sequence(table, 1, id);
    this.#know(table, block);
  }

  #know(table: string, block: Block | undefined): void {
    const { sequences } = this.state;
    if (sequences.size >= MAX_SEQUENCES) sequences.clear();
    sequences.set(table, { next: block && block.to + 1, at: Date.now() });
  }

  /** From what is left of the last block, then from a new one. What others took meanwhile is gone from both. */
  async #take(name: string, count: number, more: () => Promise<Block>): Promise<Block[]> {
    const { blocks } = this.state;
    const taken: Block[] = [];
    let left = count;
    const takeFrom = (block: Block) => {
      const to = Math.min(block.to, block.from + left - 1);
      taken.push({ from: block.from, to });
      left -= to - block.from + 1;
      if (to === block.to) blocks.delete(name);
      else blocks.set(name, { from: to + 1, to: block.to });
    };
    const kept = blocks.get(name);
    if (kept) takeFrom(kept);
    while (left > 0) {
      const block = await more();
      // Another statement of this isolate may have fetched one as well: that one is left to a gap.
      takeFrom(block);
    }
    return taken;
  }
}

async function highestId(table: string, executor: Executor): Promise<number> {
  const column = executor.cluster.planner.layout.find(table)?.rowidAlias;
  if (column === undefined) return 0;
  const id = quoteName(column);
  const sql = `select ${id} as id from ${quoteName(table)} order by ${id} desc limit 1`;
  const { rows } = await executor.rows({ sql, params: [] }, 'arrays');
  const highest = Math.max(Number(rows[0]?.[0] ?? 0), 0);
  if (Number.isSafeInteger(highest + IDS)) return highest;
  throw new ShardKeyError(`The ids of ${table} reach ${highest}, and JavaScript counts exactly to 2^53 only.`, {
    tables: [table],
    remedy: `Give ${column} a value that is unique over all shards.`,
  });
}
