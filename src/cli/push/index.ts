export { type ApplyPushOptions, applyPush } from './apply-push';
export { type PushedShard, PushFailedError, PushRefusedError, type PushReport } from './errors';
export { groupByStatements, type PushGroup } from './group';
export type { Casing } from './kit';
export { type PushInput, type PushPlan, planPush, type ShardPush } from './plan-push';
