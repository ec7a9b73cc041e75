import { type ErrorDetails, ShardedDrizzleError } from '../../errors';
import { namesOf } from '../output/names';
import { groupByStatements, type PushGroup } from './group';
import type { ShardPush } from './plan-push';

/** What became of one shard. */
export interface PushedShard<TShard extends string = string> {
  shard: TShard;
  /** `failed`: nothing was changed there, as each shard is atomic. `current`: it lacked nothing. */
  state: 'done' | 'failed' | 'untouched' | 'current';
  statements: readonly string[];
  error?: Error;
}

export interface PushReport<TShard extends string = string> {
  shards: PushedShard<TShard>[];
}

/** The push was not begun, and nothing was changed: it would lose data, cannot be done, or a shard was changed meanwhile. */
export class PushRefusedError extends ShardedDrizzleError {
  /** The plans that are in the way, with their statements; those of shards that are alike as one. */
  readonly groups: readonly PushGroup[];

  constructor(message: string, groups: readonly PushGroup[], details?: ErrorDetails) {
    super('PUSH_REFUSED', message, details);
    this.groups = groups;
  }
}

/** What speaks against plans, if anything does. */
export function refusalOf(plans: readonly ShardPush[], reason: 'dataLoss' | 'obstacles'): PushRefusedError | undefined {
  const groups = groupByStatements(plans.filter((plan) => plan[reason].length > 0));
  if (groups.length === 0) return undefined;
  const lines = groups.flatMap((group) => group[reason].map((line) => `\n- ${namesOf(group.shards)}: ${line}`));
  return reason === 'dataLoss'
    ? new PushRefusedError(`Nothing was pushed, as data would be lost:${lines.join('')}\n`, groups, {
        remedy: 'Push with --force if that is meant.',
      })
    : new PushRefusedError(`The schema cannot be pushed, and nothing was changed:${lines.join('')}`, groups);
}

/** A shard has refused the statements and is as it was; no further shard was begun. `report` says what became of the others. */
export class PushFailedError extends ShardedDrizzleError {
  readonly report: PushReport;

  constructor(report: PushReport) {
    const named = (state: PushedShard['state']) =>
      namesOf(report.shards.filter((one) => one.state === state).map(({ shard }) => shard));
    const failed = report.shards.find(({ state }) => state === 'failed');
    const untouched = named('untouched');
    const message = [
      `The push failed on ${named('failed')}: ${failed?.error?.message}.`,
      `Done: ${named('done') || 'none'}.`,
      ...(untouched ? [`Untouched: ${untouched}.`] : []),
    ].join(' ');
    super('PUSH_FAILED', message, {
      remedy: 'Mend what the error says, and plan and push again: what is done is left alone.',
      ...(failed ? { shard: failed.shard, cause: failed.error } : {}),
    });
    this.report = report;
  }
}
