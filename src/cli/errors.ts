import { type ErrorDetails, ShardedDrizzleError } from '../errors';

/** What a command ends with; for scripts and pipelines. */
export const EXIT = {
  ok: 0,
  /** Something failed, or was found that has to be looked after. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** It would not be safe. Nothing was changed. */
  refused: 3,
} as const;

/** The command line asks for something that there is not. */
export class UsageError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('USAGE', message, details);
  }
}

/** What the command would have done is not safe; nothing was changed. */
export class RefusedError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('REFUSED', message, details);
  }
}

const USAGE: ReadonlySet<string> = new Set(['USAGE', 'CONFIG', 'MISSING_SHARD']);
const REFUSED: ReadonlySet<string> = new Set([
  'REFUSED',
  'MIGRATION_REFUSED',
  'PUSH_REFUSED',
  'MOVE_REFUSED',
  'MOVE_IN_PROGRESS',
  'MOVE_CONFLICT',
  'ADOPTION_CONFLICT',
  'SHARD_IDENTITY',
]);

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  if (typeof code !== 'string') return EXIT.failed;
  if (USAGE.has(code)) return EXIT.usage;
  return REFUSED.has(code) ? EXIT.refused : EXIT.failed;
}

/** An error as JSON: its code, and all that it says. */
export function errorAsJson(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { code: 'ERROR', message: String(error) };
  const { code, remedy, shard, tables } = error as Partial<ShardedDrizzleError>;
  const { obstacles, report } = error as { obstacles?: unknown; report?: unknown };
  return {
    code: typeof code === 'string' ? code : 'ERROR',
    message: error.message,
    ...(remedy === undefined ? {} : { remedy }),
    ...(shard === undefined ? {} : { shard }),
    ...(tables === undefined || tables.length === 0 ? {} : { tables }),
    ...(obstacles === undefined ? {} : { obstacles }),
    ...(report === undefined ? {} : { report }),
  };
}
