import { evenRanges, slotOf } from '../../src/placement/slots';

/**
 * Where first contact puts keys: equal ranges of slots in the order of the shards.
 *
 * @example
 * hashOwner(['s0', 's1'])('user-123'); // 's1'
 */
export function hashOwner(shards: readonly string[]): (key: string) => string {
  const starts = evenRanges(shards.length);
  return (key) => shards[starts.findLastIndex((start) => start <= slotOf(key))] as string;
}
