import { type ErrorDetails, ShardedDrizzleError } from '../errors';
import type { SchemaDifference } from './schema/compare';

/** Why nothing was applied, with what to do about it. */
export interface Obstacle {
  /**
   * - `ahead`: the shard has applied a migration that is not in the folder
   * - `edited`: a file was changed after the shard has applied it
   * - `gap`: the shard lacks a migration that is older than one which it has
   * - `format`: its ledger is one of Drizzle 1.0, and the folder is one of 0.45
   * - `rows`: the file inserts rows, which would be on every shard
   * - `drift`: the shard's schema is not the one that its migrations give
   */
  readonly kind: 'ahead' | 'edited' | 'gap' | 'format' | 'rows' | 'drift';
  readonly message: string;
  readonly shard?: string;
  readonly tag?: string;
  /** Of `drift`: everything that differs. */
  readonly differences?: readonly SchemaDifference[];
}

/** What became of one shard. */
export interface ShardMigration<TShard extends string = string> {
  shard: TShard;
  /** `failed`: nothing was applied there, as each shard is atomic. `current`: it lacked nothing. */
  state: 'done' | 'failed' | 'untouched' | 'current';
  /** The migrations that it has got now, the oldest first. */
  applied: string[];
  /** Those that it lacks still. */
  pending: string[];
  error?: Error;
}

export interface MigrationReport<TShard extends string = string> {
  shards: ShardMigration<TShard>[];
}

/** Shards in an error's message; all of them are in its `report`. */
const MAX_NAMES = 8;
/** Lines of an error's message; all of them are in its `obstacles`. */
const MAX_LINES = 20;

/** The migrations were not begun: something is in the way on a shard, or another run is at work. Nothing was changed. */
export class MigrationRefusedError extends ShardedDrizzleError {
  /** Empty where another run is at work. */
  readonly obstacles: readonly Obstacle[];

  constructor(message: string, obstacles: readonly Obstacle[] = [], details?: ErrorDetails) {
    const lines = obstacles.slice(0, MAX_LINES).map((one) => `\n- ${one.message}`);
    const rest = obstacles.length - lines.length;
    super('MIGRATION_REFUSED', `${message}${lines.join('')}${rest > 0 ? `\n- and ${rest} more` : ''}`, details);
    this.obstacles = obstacles;
  }
}

/** What to throw when another one changes the schema. */
export const heldRefusal = (message: string, remedy: string): MigrationRefusedError =>
  new MigrationRefusedError(message, [], { remedy });

function namesOf({ shards }: MigrationReport, wanted: ShardMigration['state']): string {
  const names = shards.filter(({ state }) => state === wanted).map(({ shard }) => shard);
  const more = names.length - MAX_NAMES;
  return more > 0 ? `${names.slice(0, MAX_NAMES).join(', ')} and ${more} more` : names.join(', ');
}

/** What is done, and what is not, as sentences. */
function told(report: MigrationReport): string {
  const untouched = namesOf(report, 'untouched');
  return `Done: ${namesOf(report, 'done') || 'none'}.${untouched ? ` Untouched: ${untouched}.` : ''}`;
}

/** The run was stopped by its `signal` between two shards. `report` says what became of each. */
export class MigrationStoppedError extends ShardedDrizzleError {
  readonly report: MigrationReport;

  constructor(report: MigrationReport) {
    super('MIGRATION_STOPPED', `The migrations were stopped. ${told(report)}`, {
      remedy: 'Run it again: it goes on with the shards that are left.',
    });
    this.report = report;
  }
}

/** Migrations failed on a shard, which is as it was; `report` says what became of the others. */
export class MigrationFailedError extends ShardedDrizzleError {
  readonly report: MigrationReport;

  constructor(report: MigrationReport) {
    const failed = report.shards.find(({ state }) => state === 'failed');
    const message = `Migrations failed on ${namesOf(report, 'failed')}: ${failed?.error?.message}. ${told(report)}`;
    super('MIGRATION_FAILED', message, {
      remedy: 'Mend what the error says and run it again: it goes on with the shards that are left.',
      ...(failed ? { shard: failed.shard, cause: failed.error } : {}),
    });
    this.report = report;
  }
}
