import type { Attempt } from '../placement/attempt';
import { Refusal } from '../placement/signals';
import { xor52 } from '../placement/xor';
import { jittered, pause } from './retry';
import type { Answer, ShardSet } from './shard-set';

/** How often answers are asked again one by one before the whole statement is routed anew. */
const MAX_ROUNDS = 3;

/**
 * Asks all shards, and again those that gave or took something meanwhile, until ownership did not change between the
 * answers: the digests of all add up to the map's base. A move that only one of the two shards had seen, or a shard that the
 * map does not know, leaves a difference.
 *
 * @throws Refusal when they do not come to rest, or the map does not know all shards.
 */
export async function askBalanced(
  shards: ShardSet,
  names: readonly string[],
  attempt: Attempt,
  tables: readonly string[],
  ask: (shard: string) => Promise<Answer>,
): Promise<Answer[]> {
  const answers = await shards.askAll(names, ask);
  for (let round = 1; !isBalanced(answers, attempt.base); round++) {
    if (round === MAX_ROUNDS) throw new Refusal(names[0] as string, { kind: 'unbalanced' }, []);
    await pause(jittered(5, round, 50));
    const digests = await digestsOf(shards, names, attempt, tables);
    await shards.forEach([...names.keys()], async (i) => {
      if (answers[i]?.digest !== digests[i]) answers[i] = await ask(names[i] as string);
    });
  }
  return answers;
}

const digestsOf = (
  shards: ShardSet,
  names: readonly string[],
  { cluster }: Attempt,
  tables: readonly string[],
): Promise<number[]> =>
  shards.forEach(names, async (shard) => {
    const demand = { cluster, shard, own: [], absent: [], write: false };
    return (await shards.guarded(demand, [], { tables, write: false })).digest;
  });

/** Does the XOR of the digests equal `base`? */
export const isBalanced = (answers: readonly { readonly digest: number }[], base: number): boolean =>
  xor52(answers.map(({ digest }) => digest)) === base;
