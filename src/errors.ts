/** What every error of this package carries besides its message. */
export interface ErrorDetails {
  /** The tables the statement names, when it was understood that far. */
  tables?: readonly string[];
  /** The shard on which it happened. */
  shard?: string;
  /** What to write instead. */
  remedy?: string;
  /** The statement as it was asked. */
  sql?: string;
  cause?: unknown;
}

/**
 * Base class of every error thrown by this package. `code` is stable and meant for `switch`; the message says what was
 * asked, why it cannot be, and what to write instead. Through Drizzle it is the `cause` of a `DrizzleQueryError`.
 */
export class ShardedDrizzleError extends Error {
  readonly code: string;
  readonly tables: readonly string[];
  readonly shard: string | undefined;
  readonly remedy: string | undefined;
  readonly sql: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    const { remedy } = details;
    super(remedy ? `${message} ${remedy}` : message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.tables = details.tables ?? [];
    this.shard = details.shard;
    this.remedy = remedy;
    this.sql = details.sql;
  }
}

/** The configuration cannot work; thrown when the database object is made, or a table is first seen. */
export class ConfigError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('CONFIG', message, details);
  }
}

/** With `scatter: 'explicit'`: no condition names the shard key, so that all shards would be asked. Nothing was run. */
export class ScatterError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('SCATTER', message, details);
  }
}

/** A shard lacks a migration that this code was written for; nothing was run there. Only with `schemaCheck`. */
export class SchemaBehindError extends ShardedDrizzleError {
  constructor(shard: string, tag: string, details?: ErrorDetails) {
    super('SCHEMA_BEHIND', `The shard ${shard} lacks the migration ${tag}, which this code expects.`, {
      shard,
      remedy: 'Bring the shards to it before this code is deployed: npx sharded-drizzle migrate --remote',
      ...details,
    });
  }
}

/** The statement is not well-formed SQL as far as this package reads it. */
export class SqlSyntaxError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('SQL_SYNTAX', message, details);
  }
}

/** The statement is understood to be one that cannot be answered rightly over several shards. Nothing was run. */
export class UnsupportedStatementError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('UNSUPPORTED_STATEMENT', message, details);
  }
}

/**
 * A cursor that `$page` did not make, or made for another query: another order, other tables or conditions. Nothing was run.
 * Where cursors come from URLs, it is an answer of 400.
 */
export class CursorError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('CURSOR', message, details);
  }
}

/** A statement names a table that is neither in the schema nor on the shards. */
export class UnknownTableError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('UNKNOWN_TABLE', message, details);
  }
}

/** An inserted row has no shard key, or one from which no shard can be told. Nothing was written. */
export class ShardKeyError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('SHARD_KEY', message, details);
  }
}

/** The statement would change the shard key of a row, which would have to move to another shard. Nothing was written. */
export class ShardKeyChangeError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('SHARD_KEY_CHANGE', message, details);
  }
}

/** A batch whose writes live on several shards: it could not be atomic. Nothing was run. */
export class CrossShardBatchError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('CROSS_SHARD_BATCH', message, details);
  }
}

/** BEGIN, COMMIT, SAVEPOINT: D1 has no interactive transactions. */
export class TransactionError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('TRANSACTION', message, details);
  }
}

/** A gathered statement needed more rows or bytes than `limits` allows. */
export class GatherLimitError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('GATHER_LIMIT', message, details);
  }
}

/** A statement, or a batch, needs more D1 queries than `limits.queries` allows. Nothing was run. */
export class QueryLimitError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('QUERY_LIMIT', message, details);
  }
}

/** One shard failed. The message begins with D1's own, which is also the `cause`; `shard` names the database. */
export class ShardQueryError extends ShardedDrizzleError {
  constructor(shard: string, cause: unknown, details: ErrorDetails = {}, code = 'SHARD_QUERY') {
    const said = cause instanceof Error ? cause.message : String(cause);
    super(code, `${said} (on shard ${shard})`, { ...details, shard, cause });
  }
}

/** The answer to a write was lost: it may have been applied, or not. It was not repeated, as it could apply twice. */
export class UnknownOutcomeError extends ShardQueryError {
  constructor(shard: string, cause: unknown, details: ErrorDetails = {}) {
    const remedy = 'Read the rows to see whether it was applied, before writing again.';
    super(shard, cause, { remedy, ...details }, 'UNKNOWN_OUTCOME');
  }
}

/** What one shard did of a write that went to several. */
export interface ShardOutcome {
  shard: string;
  /** Rows changed there; undefined when it failed. */
  changes?: number;
  error?: ShardQueryError;
}

/** A write over several shards was applied on some of them and failed on others. Each shard by itself is atomic. */
export class PartialWriteError extends ShardedDrizzleError {
  readonly applied: readonly ShardOutcome[];
  readonly failed: readonly ShardOutcome[];

  constructor(outcomes: readonly ShardOutcome[], details: ErrorDetails = {}) {
    const applied = outcomes.filter((outcome) => !outcome.error);
    const failed = outcomes.filter((outcome) => outcome.error);
    const names = (list: readonly ShardOutcome[]) => list.map((outcome) => outcome.shard).join(', ');
    const first = failed[0]?.error;
    super(
      'PARTIAL_WRITE',
      `The write was applied on ${names(applied)} and failed on ${names(failed)}: ${first?.message ?? 'unknown error'}.`,
      { remedy: 'See `applied` and `failed`; write by shard key to be atomic.', cause: first, ...details },
    );
    this.applied = applied;
    this.failed = failed;
  }
}

/**
 * The database that is bound under a shard's name is not that shard: bindings are swapped, it belongs to another cluster, or
 * it is empty although the cluster has put it to use. Nothing was read or written.
 */
export class ShardIdentityError extends ShardedDrizzleError {
  constructor(
    shard: string,
    cluster: string,
    found: { readonly name: string | null; readonly cluster: string | null },
    details: ErrorDetails = {},
  ) {
    const [is, remedy] =
      found.name === null
        ? [
            'has never been told to be one, although the cluster has put it to use: it is empty, or was restored',
            'Bind the database that the cluster has used under this name.',
          ]
        : found.cluster === cluster
          ? [`is the shard ${found.name}`, 'Two bindings are swapped: put each database under its own name.']
          : [
              `is the shard ${found.name} of another cluster, ${found.cluster}`,
              'Give the configuration the coordinator or control database that made that cluster.',
            ];
    super('SHARD_IDENTITY', `The database bound as shard ${shard} ${is}. Nothing was read or written.`, {
      remedy,
      ...details,
      shard,
    });
  }
}

/** A shard of the cluster has no binding in this deployment: an answer without its rows would be a wrong one. */
export class MissingShardError extends ShardedDrizzleError {
  constructor(shard: string, details?: ErrorDetails) {
    super(
      'MISSING_SHARD',
      `The shard ${shard} holds rows of this cluster, and the configuration has no database of that name.`,
      {
        remedy: `Add it to \`shards\`, and its binding to wrangler.toml; or move its rows away before taking it out.`,
        ...details,
        shard,
      },
    );
  }
}

/** The shards kept refusing: what this isolate, KV and the catalog say about who owns the rows does not come to rest. */
export class StaleRouteError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('STALE_ROUTE', message, {
      remedy:
        'Nothing was written. Try again; if it stays, look at `$cluster.shards()` and for a database that was restored.',
      ...details,
    });
  }
}

/**
 * A write had to wait for rows that are being moved, or a schema change for a move or for another one, longer than `moveTimeout`.
 * Nothing was written.
 */
export class MoveInProgressError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('MOVE_IN_PROGRESS', message, { remedy: 'Try again, or raise `moveTimeout`.', ...details });
  }
}

/**
 * Two databases came with rows that cannot both be right: of one key, or of a table that is whole on every shard. Nothing was
 * written, and no row was changed.
 */
export class AdoptionConflictError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('ADOPTION_CONFLICT', message, {
      remedy: 'db.$cluster.planAdoption() lists the conflicts; db.$cluster.resolveConflicts({ ... }) decides them.',
      ...details,
    });
  }
}

/** Rows cannot be moved safely, or not now; the message says why. Nothing was changed. */
export class MoveRefusedError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('MOVE_REFUSED', message, details);
  }
}

/** A row that would be moved has a value that a row of the target has already, in a UNIQUE column. Nothing was moved. */
export class MoveConflictError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('MOVE_CONFLICT', message, {
      remedy: 'Change or delete one of the two rows, then move again.',
      ...details,
    });
  }
}
