import { drizzle } from 'drizzle-orm/d1';
import { schema } from './schema.ts';

/** Takes the place of `subject.ts` with `--same`: one more plain database, so that any difference is noise. */
export const open = (shards: Record<string, D1Database>) => {
  const [first] = Object.values(shards);
  if (!first) throw new Error('No shard.');
  return drizzle(first, { schema });
};
