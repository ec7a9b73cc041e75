import { AdoptionConflictError } from '../errors';

/**
 * Where a key with rows in two databases "lives" until somebody decides: no shard has this name, so that every statement with
 * the key is refused.
 */
export const CONFLICT = '!conflict';

export const conflictOf = (keyspace: string, key: string): AdoptionConflictError =>
  new AdoptionConflictError(`Two databases came with rows of the key ${key} (keyspace ${keyspace}).`);
