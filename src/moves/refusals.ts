import type { Journaled, Move, MoveRequest } from '../catalog/journal';
import { MoveInProgressError, MoveRefusedError, type ShardedDrizzleError } from '../errors';
import { unhex } from '../placement/signals';
import type { Cargo } from './carry';
import { raisedBy } from './io';
import { LEVELS } from './leaving';
import type { PlacedMove } from './move-sql';

/** What a step has raised, in words that say what to do; every other error as it is. */
export function explained(move: PlacedMove, error: unknown): unknown {
  const raised = raisedBy(error);
  const table = tableIn(raised?.said);
  switch (raised?.kind) {
    case 'NOT_OWNER':
      return notOwner(move);
    case 'COUNT':
      return new MoveRefusedError(
        `The rows of ${table} changed while they were frozen, or ${move.to} has rows with these keys already: something writes past the router, or a trigger adds or drops rows.`,
        { tables: [table], remedy: 'Run db.$cluster.verify().', cause: error },
      );
    case 'CHANGED':
      return new MoveRefusedError(`Rows of ${table} did not arrive as they were: a trigger changes them.`, {
        tables: [table],
        remedy: "Write moveTriggers: { '<its name>': 'silent' } in the configuration.",
        cause: error,
      });
    case 'KEPT':
      return new MoveRefusedError(`Rows of ${table} did not leave ${move.from}: a trigger keeps them.`, {
        tables: [table],
        remedy: "Write moveTriggers: { '<its name>': 'silent' } in the configuration.",
        cause: error,
      });
    case 'FOREIGN_KEY':
      return lacksParents(move, error);
    default:
      return error;
  }
}

const tableIn = (said = ''): string => unhex(said.split('-')[0] as string);

/** The same of RELEASE, when the rows have landed: nothing can be given up any more, and writes to them wait. */
export function unreleased(move: PlacedMove, landed: Readonly<Record<string, number>>, error: unknown): unknown {
  const raised = raisedBy(error);
  if (raised?.kind !== 'COUNT') return explained(move, error);
  const { id, key, lo, hi, from, to } = move;
  const table = tableIn(raised.said);
  const which = key === null ? `the slots ${lo} to ${hi}` : `the key '${key}'`;
  return new MoveInProgressError(
    `Move ${id} cannot end: of ${table}, ${from} has ${raised.said.split('-')[1]} rows of ${which}, and ${landed[table] ?? 0} have landed on ${to}. Something has written to ${from} past the router meanwhile.`,
    {
      tables: [table],
      shard: from,
      remedy: `Look at both with db.$shard(), delete on ${from} what ${to} does not have or put back what is missing, then call db.$cluster.resume(): the move goes on. Until then writes wait.`,
      cause: error,
    },
  );
}

export const notOwner = (move: PlacedMove): MoveRefusedError =>
  new MoveRefusedError(
    `${move.from} does not own what is to be moved to ${move.to}: the catalog and the shard disagree.`,
    {
      shard: move.from,
      remedy: 'Run db.$cluster.verify().',
    },
  );

export const lacksParents = ({ to }: PlacedMove, cause: unknown): MoveRefusedError =>
  new MoveRefusedError(`${to} lacks rows that the moved ones refer to by a foreign key.`, {
    shard: to,
    remedy: 'Are its reference tables complete? Insert what is missing, then move again.',
    cause,
  });

/** Deleting the rows was tried on the source, and did not work. */
export function doesNotLetGo({ from }: PlacedMove, { tables }: Cargo, error: unknown): MoveRefusedError | undefined {
  const refused = refusedBy(from, 'does not let a row go', error);
  const names = tables.filter(({ restricts }) => restricts.length > 0).map((table) => table.name);
  if (!refused?.message.includes('FOREIGN KEY constraint failed') || names.length === 0) return refused;
  return new MoveRefusedError(
    `Rows of ${names.join(' or ')} refer to each other ON DELETE RESTRICT in a circle, or more than ${LEVELS} levels deep.`,
    {
      tables: names,
      shard: from,
      remedy: 'Write ON DELETE NO ACTION, which looks when all are deleted.',
      cause: error,
    },
  );
}

/** What a shard says when one of its constraints or triggers is against the move. */
export function refusedBy(shard: string, what: string, error: unknown): MoveRefusedError | undefined {
  const said = error instanceof Error ? /(?:D1_ERROR: )?(.*?): SQLITE_CONSTRAINT/s.exec(error.message)?.[1] : undefined;
  return said === undefined ? undefined : new MoveRefusedError(`${shard} ${what}: ${said}.`, { shard, cause: error });
}

/** Why a move was not journaled. */
export function refusalOf(request: MoveRequest, answer: Exclude<Journaled, { move: Move }>): ShardedDrizzleError {
  const { to, lo, hi } = request;
  switch (answer.refused) {
    case 'locked':
      return new MoveInProgressError(`Move ${answer.by.id} is under way in the slots ${lo} to ${hi}.`, {
        remedy: 'Wait for it: db.$cluster.moves() shows how far it is.',
      });
    case 'held':
      return new MoveInProgressError(`Moves are held off by: ${answer.by}.`, { remedy: 'Try again when it is done.' });
    case 'target':
      return new MoveRefusedError(
        answer.state === undefined
          ? `The cluster has no shard ${to}.`
          : `The shard ${to} is ${answer.state}: nothing can be moved there.`,
        {
          shard: to,
          ...(answer.state === 'adding' ? { remedy: `Call db.$cluster.addShard('${to}') first.` } : {}),
        },
      );
    case 'adopting':
      return new MoveRefusedError(
        `The keys that databases came with were not all found yet in the keyspace ${request.keyspace}.`,
        { remedy: 'Wait for db.$cluster.adopt(); db.$cluster.jobs() shows how far it is.' },
      );
    default:
      return new MoveRefusedError(`Several shards own the slots ${lo} to ${hi}.`, {
        remedy: 'Move the slots of one shard at a time.',
      });
  }
}
