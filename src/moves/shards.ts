import { MoveRefusedError } from '../errors';
import type { MoveIo } from './io';
import type { MoveSpec } from './spec';

/** The rows of the reference tables, to a shard that is `adding`; then it is active. */
export async function copyReferences(_io: MoveIo, _spec: MoveSpec, _to: string): Promise<void> {
  throw new MoveRefusedError('not yet');
}

/** An empty shard leaves the cluster. */
export async function retireShard(_io: MoveIo, _spec: MoveSpec, _shard: string): Promise<void> {
  throw new MoveRefusedError('not yet');
}
