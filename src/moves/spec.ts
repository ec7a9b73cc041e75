import type { ShardedConfig, TableRule } from '../config';
import type { Layout } from '../layout/layout';
import { foldName } from '../sql/tokens';

/** What a move does with the user's own triggers: run them on the rows that come and go, or keep them from running. */
export type TriggerMode = 'fire' | 'silent';

/**
 * What the configuration says of the tables, as plain JSON: it is journaled with a job, so that the coordinator can go on
 * with it.
 */
export interface MoveSpec {
  /** By folded table name, keys as column names. Tables that are missing here follow the default rule. */
  readonly tables: Readonly<Record<string, TableRule>>;
  /** For all triggers, or by name. */
  readonly triggers: TriggerMode | Readonly<Record<string, TriggerMode>>;
}

export function specOf(layout: Layout, triggers: ShardedConfig['moveTriggers']): MoveSpec {
  const declared = layout.declared().map(({ name, placement }): [string, TableRule] => {
    const rule: TableRule =
      placement.kind === 'replicated'
        ? { replicated: true }
        : placement.kind === 'pinned'
          ? { shard: placement.shard }
          : { key: placement.key.name, keyspace: placement.keyspace };
    return [foldName(name), rule];
  });
  return { tables: Object.fromEntries([...layout.rules, ...declared]), triggers: triggers ?? {} };
}

export const readSpec = (json: string): MoveSpec => JSON.parse(json) as MoveSpec;

export const triggerMode = ({ triggers }: MoveSpec, name: string): TriggerMode | undefined =>
  typeof triggers === 'string' ? triggers : triggers[name];
