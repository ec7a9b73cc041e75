import { UnsupportedStatementError } from '../errors';
import type { ShardClient } from './shard-set';

/** How sessions begin: all alike, or each where a former one ended. */
export interface SessionStart {
  readonly constraint: string | undefined;
  readonly bookmarks: Readonly<Record<string, string>>;
}

const PREFIX = 'sharded:';

/**
 * Reads what `withSession` was given: D1's own constraint, or a bookmark of ours, which holds one per shard.
 *
 * @throws UnsupportedStatementError for a bookmark of a single database.
 */
export function decodeBookmark(given: string | undefined): SessionStart {
  if (given === undefined || given === 'first-primary' || given === 'first-unconstrained')
    return { constraint: given, bookmarks: {} };
  try {
    if (given.startsWith(PREFIX)) return { constraint: undefined, bookmarks: JSON.parse(given.slice(PREFIX.length)) };
  } catch {
    // Told of below.
  }
  throw new UnsupportedStatementError('The bookmark is not one that getBookmark() of a sharded session gave.', {
    remedy: "Pass that one, 'first-primary' or 'first-unconstrained'.",
  });
}

/** Sessions of the shards that are used, made when first needed. */
export class ShardSessions extends Map<string, ShardClient> {
  readonly #databases: ReadonlyMap<string, D1Database>;
  readonly #start: SessionStart;
  readonly #sessions = new Map<string, D1DatabaseSession>();
  /** Where sessions ended that were given up for one on the primary. */
  readonly #ended: Record<string, string> = {};
  /** A shard without a bookmark may have given away rows that the bookmarks of others speak of: replicas may not know. */
  readonly #constraint: string | undefined;

  constructor(databases: ReadonlyMap<string, D1Database>, start: SessionStart) {
    super();
    this.#databases = databases;
    this.#start = start;
    this.#constraint = Object.keys(start.bookmarks).length > 0 ? 'first-primary' : start.constraint;
  }

  override get(shard: string): ShardClient | undefined {
    const known = this.#sessions.get(shard);
    if (known) return known;
    const session = this.#databases.get(shard)?.withSession(this.#start.bookmarks[shard] ?? this.#constraint);
    if (session) this.#sessions.set(shard, session);
    return session;
  }

  /** Another shard has sent us here: a replica may not have yet what was moved, so that the primary is asked. */
  needsPrimary(shard: string): void {
    const ended = this.#sessions.get(shard)?.getBookmark();
    if (ended) this.#ended[shard] = ended;
    const session = this.#databases.get(shard)?.withSession('first-primary');
    if (session) this.#sessions.set(shard, session);
  }

  override has(shard: string): boolean {
    return this.#databases.has(shard);
  }

  /** One string for all shards; those that were not used keep the bookmark they began with. */
  bookmark(): string | null {
    const bookmarks: Record<string, string> = { ...this.#start.bookmarks, ...this.#ended };
    for (const [shard, session] of this.#sessions) {
      const bookmark = session.getBookmark();
      if (bookmark !== null) bookmarks[shard] = bookmark;
    }
    return Object.keys(bookmarks).length === 0 ? null : PREFIX + JSON.stringify(bookmarks);
  }
}
