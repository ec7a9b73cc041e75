import { ShardedDrizzleError } from '../../errors';
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

/** The push was not begun, and nothing was changed: it would lose data, or cannot be done. */
export class PushRefusedError extends ShardedDrizzleError {
  /** The plans that are in the way, those of shards that are alike as one. */
  readonly groups: readonly PushGroup[];

  constructor(reason: 'dataLoss' | 'obstacles', plans: readonly ShardPush[]) {
    const groups = groupByStatements(plans.filter((plan) => plan[reason].length > 0));
    const lines = groups.flatMap((group) => group[reason].map((line) => `\n- ${group.shards.join(', ')}: ${line}`));
    const [what, remedy] =
      reason === 'dataLoss'
        ? ['Data would be lost', 'Push with `force` if that is meant.']
        : ['The schema cannot be pushed', 'Nothing was changed.'];
    super('PUSH_REFUSED', `${what}:${lines.join('')}\n`, { remedy });
    this.groups = groups;
  }
}

/** A shard has refused the statements and is as it was; no further shard was begun. `report` says what became of the others. */
export class PushFailedError extends ShardedDrizzleError {
  readonly report: PushReport;

  constructor(report: PushReport) {
    const named = (state: PushedShard['state']) =>
      report.shards.filter((one) => one.state === state).map(({ shard }) => shard);
    const failed = report.shards.find(({ state }) => state === 'failed');
    const untouched = named('untouched');
    const message = [
      `The push failed on ${named('failed').join(', ')}: ${failed?.error?.message}.`,
      `Done: ${named('done').join(', ') || 'none'}.`,
      ...(untouched.length > 0 ? [`Untouched: ${untouched.join(', ')}.`] : []),
    ].join(' ');
    super('PUSH_FAILED', message, {
      remedy: 'Mend what the error says, and plan and push again: what is done is left alone.',
      ...(failed ? { shard: failed.shard, cause: failed.error } : {}),
    });
    this.report = report;
  }
}
