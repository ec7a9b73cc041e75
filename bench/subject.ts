import { type ShardedConfig, shardedDrizzle } from '../src/index';
import { schema, tables } from './schema.ts';

/** What is measured. */
export const open = (shards: Record<string, D1Database>, kv?: ShardedConfig['kv']) =>
  shardedDrizzle({ schema, shards, tables, ...(kv && { kv }) });
